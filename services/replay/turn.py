"""Whose turn it is to carry replays out: one process of any number, chosen by Kafka's group coordinator."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ..kafka import clients
from ..settings import KafkaSettings

log = logging.getLogger(__name__)


class Turn:
    """Takes part in the group of replayers until closed. `changed` is called on the event loop.

    Two processes may think for a moment that it is theirs (one was stopped and woken): both then start the same runs,
    which are started once.
    """

    def __init__(self, settings: KafkaSettings, changed: Callable[[], None]) -> None:
        self.ours = False
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._topic = settings.topics().replays
        self._open = True
        self._consumer = Consumer(clients.consumer(settings, "penstock-replayer", f"{settings.topic_prefix}replayer"))
        self._thread = threading.Thread(target=self._take_part, name="replayer-turn", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Leave the group at once, so that the next one need not wait for the session to time out."""
        self._open = False
        await asyncio.to_thread(self._thread.join, 10.0)

    def _take_part(self) -> None:
        consumer = self._consumer
        consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)
        while self._open:
            try:
                consumer.poll(0.5)
            except KafkaException as error:
                log.warning("the group of replayers: %s", error)
                time.sleep(0.2)
        consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Only the membership matters: the topic is read elsewhere, by everybody.
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._tell(bool(partitions) or self.ours)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        self._tell(self.ours and not partitions)

    def _tell(self, ours: bool) -> None:
        self.ours = ours
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed)
