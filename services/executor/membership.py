"""Membership in the executors' consumer group: who owns which partition, told by the broker.

The member's consumer never fetches: its partitions are paused, and commands are read by `commands` from the offset
that the restored state says. The group's committed offsets are for lag tools alone, and for `prove`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ..errors import Unavailable
from ..exhaustion import end_if_out_of_memory
from ..kafka import clients
from ..settings import KafkaSettings

log = logging.getLogger(__name__)

#: A revoked partition's owner may take this long to finish its commit before the next one is let in.
HANDOVER_SECONDS = 10.0
LAZY_COMMIT_SECONDS = 5.0
PROVE_SECONDS = 10.0
#: So long at most a question to the coordinator waits for its turn.
POLL_SECONDS = 0.2
#: Only these say that the group goes on without us. After any other error the question is still open: a partition
#: that is left alone while the group counts on us would never be served again.
_THROWN_OUT = {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.FENCED_INSTANCE_ID}


class Assignee(Protocol):
    """Who is told about the assignment, on the event loop."""

    async def assigned(self, partitions: set[int]) -> None:
        """These partitions are ours from now on, in addition."""

    async def revoked(self, partitions: set[int]) -> None:
        """These are to be handed over; they are ours until this returns, which lets the next owner in."""

    async def lost(self, partitions: set[int]) -> None:
        """These are not ours any more, and may have another owner already."""

    def progress(self) -> dict[int, int]:
        """Next command offset of every partition that is being served."""


class GroupMember:
    """Takes part in the group until closed."""

    def __init__(self, settings: KafkaSettings, client_id: str, assignee: Assignee) -> None:
        self._topic = settings.topics().run_steps
        self._assignee = assignee
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._committed: dict[int, int] = {}
        """Next command by partition, as it was last stored for lag tools."""
        self._asking = 0
        self._nobody_asks = threading.Condition()
        self._consumer = Consumer(clients.consumer(settings, client_id, f"{settings.topic_prefix}executor"))
        self._thread = threading.Thread(target=self._take_part, name="group-member", daemon=True)
        self._thread.start()

    async def prove(self, partition: int, next_command: int) -> bool:
        """Ask the group's coordinator whether the partition is still ours, by committing an offset to it.

        A member that was thrown out (paused, cut off) is refused by its generation. `Unavailable` when the
        coordinator does not say.
        """
        return await asyncio.to_thread(self._prove, TopicPartition(self._topic, partition, next_command))

    async def close(self) -> None:
        """Leave the group at once, so that others need not wait for the session to time out."""
        self._open = False
        await asyncio.to_thread(self._thread.join, 15.0)

    def _prove(self, place: TopicPartition) -> bool:
        give_up = time.monotonic() + PROVE_SECONDS
        while self._open:
            try:
                with self._between_polls():
                    self._consumer.commit(offsets=[place], asynchronous=False)
                    self._committed.pop(place.partition, None)  # it may lie before what was stored
                    return any(ours.partition == place.partition for ours in self._consumer.assignment())
            except KafkaException as error:
                if error.args[0].code() in _THROWN_OUT:
                    log.info("partition %s is not ours any more: %s", place.partition, error)
                    return False
                if time.monotonic() > give_up:
                    raise Unavailable(f"the group's coordinator does not say whose it is: {error}") from error
                time.sleep(0.2)
            except RuntimeError:  # the consumer is closed
                return False
        return False

    @contextmanager
    def _between_polls(self) -> Iterator[None]:
        """The consumer lets in one thread at a time and is not fair: one that polls on and on would keep all others
        out for good."""
        with self._nobody_asks:
            self._asking += 1
        try:
            yield
        finally:
            with self._nobody_asks:
                self._asking -= 1
                self._nobody_asks.notify_all()

    def _let_ask(self) -> None:
        with self._nobody_asks:
            self._nobody_asks.wait_for(lambda: not self._asking, PROVE_SECONDS)

    def _take_part(self) -> None:
        consumer = self._consumer
        consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        committed_at = time.monotonic()
        while self._open:
            self._let_ask()
            try:
                message = consumer.poll(POLL_SECONDS)
                if time.monotonic() - committed_at > LAZY_COMMIT_SECONDS:
                    committed_at = time.monotonic()
                    self._commit_lazily()
            except Exception as error:  # without this thread the group would take us for alive and idle for minutes
                end_if_out_of_memory(error)
                log.exception("taking part in the group failed; going on")
                time.sleep(0.2)
                continue
            if message is not None and message.error() is not None:
                log.debug("group member: %s", message.error())
        consumer.close()

    def _commit_lazily(self) -> None:
        progress = dict(self._assignee.progress())
        committed, self._committed = self._committed, progress
        moved = [TopicPartition(self._topic, p, offset) for p, offset in progress.items() if committed.get(p) != offset]
        if moved:
            try:
                self._consumer.commit(offsets=moved, asynchronous=True)
            except KafkaException as error:
                log.debug("offsets for lag tools: %s", error)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._tell(self._assignee.assigned, partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(self._assignee.revoked, partitions)
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("the group took partitions %s from us", sorted(p.partition for p in partitions))
        self._tell(self._assignee.lost, partitions)
        consumer.incremental_unassign(partitions)

    def _tell(self, what: Callable[[set[int]], Coroutine[None, None, None]], partitions: list[TopicPartition]) -> None:
        if self._loop.is_closed():
            return
        told = asyncio.run_coroutine_threadsafe(what({p.partition for p in partitions}), self._loop)
        try:
            told.result(HANDOVER_SECONDS)
        except TimeoutError:
            log.warning("handing over takes longer than %s s; fencing keeps it safe", HANDOVER_SECONDS)
        except Exception:
            log.exception("handing over failed; fencing keeps it safe")
