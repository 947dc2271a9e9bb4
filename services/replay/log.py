"""The topic `replays`: followed into the table, and written so that who is answered finds what it wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ..errors import Unavailable, UndecodableRecord
from ..kafka.follow import TopicFollower
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.ids import ReplayId
from ..messages.keys import replay_key
from ..messages.records import Replay, ReplayControl, ReplayProgress
from ..settings import KafkaSettings
from .table import ReplayRecord, ReplayState, ReplayTable, usable

ACKNOWLEDGED_SECONDS = 10.0


class Sender(Protocol):
    """What `kafka.produce` does."""

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Send records together; the future is done when all are acknowledged, or raises `Unavailable`."""


class ReplayLog:
    """All replays, as the topic has them; the table changes only on the event loop."""

    def __init__(self, settings: KafkaSettings, codec: Codec, producer: Sender) -> None:
        self.table = ReplayTable()
        self.changed = asyncio.Event()
        """Set with every change, for the one who waits for it and clears it."""
        self._topic = settings.topics().replays
        self._codec = codec
        self._producer = producer
        self._follower = TopicFollower(settings, self._topic, "replays", self._read, self._take)

    async def start(self) -> None:
        """Return when everything that is on the topic is in the table. Waits as long as Kafka is away."""
        await self._follower.start()

    def state(self, replay: ReplayId) -> ReplayState | None:
        return self.table.get(replay)

    async def refresh(self) -> None:
        """Return when the table has what anybody wrote before; `Unavailable` when that takes too long."""
        await self._follower.refresh(ACKNOWLEDGED_SECONDS)

    async def write(self, record: ReplayRecord) -> None:
        """Write, and return when the table has it. Raises `Unavailable` when that does not happen in time."""
        outgoing = Outgoing(self._topic, replay_key(record), self._codec.encode(record), partition=0)
        try:
            async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
                offset = await self._producer.send_all([outgoing])
                readable = await self._follower.reached(offset, ACKNOWLEDGED_SECONDS)
        except TimeoutError:
            readable = False
        if not readable:
            raise Unavailable(f"Kafka did not take it within {ACKNOWLEDGED_SECONDS:g} s; try again")

    async def close(self) -> None:
        await self._follower.close()

    def _read(self, _key: bytes, value: bytes | None) -> ReplayRecord | None:
        if value is None:
            return None
        record = self._codec.decode(value)
        if isinstance(record, Replay | ReplayControl | ReplayProgress):
            return usable(record)
        raise UndecodableRecord(f"a {type(record).__name__} does not belong on this topic")

    def _take(self, taken: list[tuple[ReplayRecord, int]], offset: int) -> None:
        for record, _at in taken:
            self.table.apply(record)
        self.table.offset = max(self.table.offset, offset)
        self.changed.set()
