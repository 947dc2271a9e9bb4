"""The live wait shapes, kept up to date from the compacted `wait-shapes` topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..messages.codec import Codec
from ..messages.records import WaitShape
from ..settings import KafkaSettings
from .follow import TopicFollower

Shapes = Sequence[tuple[WaitShape, int]]
"""Shapes with their offsets."""


class ShapeRegistry:
    """Reads the topic to its end, then follows it; `take` gets its records on the event loop."""

    def __init__(self, settings: KafkaSettings, codec: Codec, take: Callable[[Shapes, int], None]) -> None:
        """`take` gets shapes, and the offset up to which the topic is read."""
        self._codec = codec
        self._follower = TopicFollower(settings, settings.topics().wait_shapes, "shapes", self._read, take)

    async def start(self) -> None:
        """Return when everything that was on the topic at the time of the call has been taken."""
        await self._follower.start()

    async def close(self) -> None:
        await self._follower.close()

    def _read(self, _key: bytes, value: bytes | None) -> WaitShape | None:
        return None if value is None else self._codec.decode_as(WaitShape, value)
