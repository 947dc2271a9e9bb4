"""The function table, kept up to date from the compacted `functions` topic."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..errors import InvalidRegistration, UndecodableRecord
from ..functions.table import Forgotten, FunctionTable, TableRecord
from ..messages.codec import Codec
from ..messages.records import App, Cancellation, Function
from ..settings import KafkaSettings
from .follow import TopicFollower

log = logging.getLogger(__name__)


class FunctionRegistry:
    """Reads the topic to its end, then follows it; the table changes only on the event loop."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self.table = FunctionTable()
        self._codec = codec
        self._topic = settings.topics().functions
        self._follower = TopicFollower(settings, self._topic, "registry", self._read, self._take)
        self._listeners: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Return when everything that was on the topic at the time of the call is in the table.

        Waits as long as Kafka is away.
        """
        await self._follower.start()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after each batch of changes."""
        self._listeners.append(listener)

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """True as soon as the table has taken the topic up to `offset`; False when that takes too long."""
        return await self._follower.reached(offset, timeout_seconds)

    async def refresh(self, timeout_seconds: float) -> None:
        """Return when everything that is on the topic now is in the table; `Unavailable` when that takes too long."""
        await self._follower.refresh(timeout_seconds)

    async def end(self, timeout_seconds: float) -> int:
        """Where the topic ends now; `Unavailable` when its leader does not answer in time."""
        return await self._follower.end(timeout_seconds)

    async def close(self) -> None:
        await self._follower.close()

    def _read(self, key: bytes, value: bytes | None) -> TableRecord:
        if value is None:
            return Forgotten(key.decode(errors="replace"))
        record = self._codec.decode(value)
        if isinstance(record, Function | App | Cancellation):
            return record
        raise UndecodableRecord(f"a {type(record).__name__} does not belong on this topic")

    def _take(self, taken: list[tuple[TableRecord, int]], offset: int) -> None:
        for record, at in taken:
            try:
                self.table.apply(record, at)
            except InvalidRegistration as error:
                log.warning("%s, offset %s: %s passed over: %s", self._topic, at, type(record).__name__, error)
        self.table.offset = max(self.table.offset, offset)
        if taken:
            for listener in self._listeners:
                listener()
