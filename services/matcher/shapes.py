"""The live wait shapes: by which paths events of a name must be correlated. Pure.

A shape is extended by a later record of the same event name and path, and lapses when its `until` has passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..messages.records import WaitShape

#: A shape is known to start a little before it says so: clocks differ, and waits of one shape begin side by side.
MARGIN_MS = 60_000
#: A lapsed shape is kept this long, for events that were received before and are matched late.
LAPSED_FOR_MS = 24 * 3600 * 1000
#: Lapsed shapes are looked for whenever the table has grown by this much, and by half.
SWEEP_AT = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """One event name and path, as far back and as long as any wait of it needs."""

    event: str
    path: str
    since: int
    until: int
    offset: int


class ShapeTable:
    """Folds `wait-shapes`; `offset` says how far."""

    def __init__(self) -> None:
        self.offset = -1
        self._by_event: dict[str, dict[str, Shape]] = {}
        self._count = 0
        self._sweep_at = SWEEP_AT

    def apply(self, record: WaitShape, offset: int, now: int) -> Shape | None:
        """Take a record; the shape if events that were matched before now may have been missed by it."""
        paths = self._by_event.setdefault(record.event, {})
        before = paths.get(record.path)
        since = record.since - MARGIN_MS
        if before is None:
            self._count += 1
            shape = Shape(record.event, record.path, since, record.until, offset)
        else:
            until = max(before.until, record.until)
            shape = Shape(record.event, record.path, min(before.since, since), until, offset)
        paths[record.path] = shape
        self._sweep(now)
        if before is None:
            return shape
        # What a record's own margin reaches back to is covered by the margin of the one before.
        missed = before.until < now + MARGIN_MS or record.since < before.since
        return Shape(record.event, record.path, since, shape.until, offset) if missed else None

    def paths(self, event: str, received_at: int) -> list[str]:
        """By which paths an event of this name that was received then is to be correlated."""
        shapes = self._by_event.get(event)
        return [shape.path for shape in shapes.values() if shape.until >= received_at] if shapes else []

    def behind(self, offset: int) -> Iterable[Shape]:
        """The shapes of which the topic has told at `offset` or later."""
        return [shape for paths in self._by_event.values() for shape in paths.values() if shape.offset >= offset]

    def __len__(self) -> int:
        return self._count

    def _sweep(self, now: int) -> None:
        if self._count < self._sweep_at:
            return
        kept = [shape for shape in self.behind(-1) if shape.until + LAPSED_FOR_MS >= now]
        self._by_event = {}
        for shape in kept:
            self._by_event.setdefault(shape.event, {})[shape.path] = shape
        self._count = len(kept)
        self._sweep_at = max(SWEEP_AT, self._count + self._count // 2)
