"""Do the executors keep up with the commands on `run-steps`? A replay waits for them: what is live goes first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ..kafka import clients
from ..settings import KafkaSettings

#: Executors say how far they are every five seconds; commands older than this must be among what they have taken.
PATIENCE_SECONDS = 8.0
#: Between two looks.
LOOK_SECONDS = 1.0
#: So many old commands that are not taken are no sign of anything: a partition may be changing hands.
TOLERATED = 200
REQUEST_SECONDS = 5.0


class Backlog(Protocol):
    """Tells whether to hold back."""

    async def reason(self) -> str:
        """Why nothing should be added to `run-steps` now; empty when there is no reason."""


class CommandBacklog:
    """The backlog of the executors' group, asked at most once a second however many ask."""

    def __init__(self, settings: KafkaSettings) -> None:
        topics = settings.topics()
        self._places = [TopicPartition(topics.run_steps, p) for p in range(topics.run_partitions)]
        # With the group's name one may ask for its offsets; only who subscribes would take part in it.
        group = f"{settings.topic_prefix}executor"
        self._consumer = Consumer(clients.consumer(settings, "penstock-replay-backlog", group))
        self._ends: deque[tuple[float, dict[int, int]]] = deque()
        self._told = ""
        self._looked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def reason(self) -> str:
        async with self._one_at_a_time:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._told = await asyncio.to_thread(self._look)
                self._looked_at = time.monotonic()
        return self._told

    async def close(self) -> None:
        await asyncio.to_thread(self._consumer.close)

    def _look(self) -> str:
        try:
            ends = {p.partition: self._consumer.get_watermark_offsets(p, REQUEST_SECONDS)[1] for p in self._places}
            committed = {p.partition: p.offset for p in self._consumer.committed(self._places, REQUEST_SECONDS)}
        except KafkaException as error:
            return f"Kafka does not say how far the executors are: {error}"
        now = time.monotonic()
        self._ends.append((now, ends))
        while len(self._ends) > 1 and self._ends[1][0] <= now - PATIENCE_SECONDS:
            self._ends.popleft()
        since, earlier = self._ends[0]
        old = untaken(earlier, committed) if since <= now - PATIENCE_SECONDS else 0
        if old <= TOLERATED:
            return ""
        return f"the executors are more than {PATIENCE_SECONDS:g} s and {old} commands behind"


def untaken(ends: dict[int, int], committed: dict[int, int]) -> int:
    """Commands before these ends that a group has not taken. Where it never said anything, that is unknown: none."""
    return sum(max(end - committed[p], 0) for p, end in ends.items() if committed.get(p, -1) >= 0)
