"""Which partitions of events must be read again, because a shape of waits is new to them? Pure.

An event that was matched before its shape was known was not correlated. So every owner of a partition reads its own
partition again, from the shape's `since` up to where it has matched, and correlates what it finds.

A partition's *progress* is the offset of `wait-shapes` up to which that has been done for everything that was matched
of it. It moves on only when the correlated events are delivered, and is stored together with the partition's offset, as
a note beside it: both are true of the same records, whoever stores them and when. The next owner begins with all shapes
behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .acknowledgements import Place
from .recent_names import RecentNames
from .shapes import Shape, ShapeTable

#: What was matched before we owned a partition may say that it was received this much later than now.
UNKNOWN_MS = 5 * 60_000

Wanted = Mapping[str, Mapping[str, int]]
"""By event name: paths, and since when each is wanted."""


_NOTE = re.compile(r"wait-shapes (\d{1,18})")


def noted(progress: int) -> str:
    """Progress as it lies beside a partition's offset; people see it in Kafka's tools."""
    return f"wait-shapes {progress}"


def progress_of(note: str) -> int:
    """What is noted beside an offset; of one that another tool has stored, nothing is known."""
    found = _NOTE.fullmatch(note)
    return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Reading:
    """Read `place` from the time `since` up to the offset `end`; then its progress is `progress`."""

    place: Place
    since: int
    end: int
    wanted: Wanted
    progress: int


class _Owned:
    """What is known of a partition that we match."""

    __slots__ = ("known", "names", "next_offset", "pending", "progress", "reading", "ready", "stored")

    def __init__(self, now: int, known: int) -> None:
        self.known = known
        """Shapes before this offset were known when we began to match it."""
        self.names = RecentNames(now + UNKNOWN_MS)
        self.next_offset = 0
        self.pending: dict[tuple[str, str], Shape] = {}
        self.ready = False
        self.reading: Reading | None = None
        self.progress = 0
        self.stored = 0


class Lookback:
    """Keeps account of all partitions of one matcher."""

    def __init__(self, shapes: ShapeTable) -> None:
        self._shapes = shapes
        self._owned: dict[Place, _Owned] = {}

    def own(self, places: Iterable[Place], now: int) -> None:
        """These partitions, and no others, are ours from now on; somebody else may have had them in between."""
        self._owned = {place: _Owned(now, self._shapes.offset + 1) for place in places}

    def begin(self, place: Place, next_offset: int, progress: int) -> None:
        """How far the partition has been matched, and for which shapes, by whoever owned it before.

        Of shapes that were not known here from the first record on, the progress does not hold any more: what was
        matched since lacks them.
        """
        owned = self._owned.get(place)
        if owned is None or owned.ready:
            return
        owned.ready = True
        owned.next_offset = max(owned.next_offset, next_offset)
        owned.progress, owned.stored = min(progress, owned.known), progress
        for shape in self._shapes.behind(owned.progress):
            self._add(owned, shape)

    def taken(self, place: Place, offset: int) -> None:
        """A record is about to be matched, with the shapes that are known by then."""
        owned = self._owned.get(place)
        if owned is not None and offset >= owned.next_offset:
            owned.next_offset = offset + 1

    def matched(self, place: Place, name: str, received_at: int) -> None:
        """An event of this name was in the record."""
        owned = self._owned.get(place)
        if owned is not None:
            owned.names.seen(name, received_at)

    def learned(self, shapes: Iterable[Shape]) -> None:
        """Shapes by which earlier events may not have been correlated."""
        for shape in shapes:
            for owned in self._owned.values():
                self._add(owned, shape)

    def readings(self) -> Iterator[Reading]:
        """What must be read, one reading for each partition, as of the moment when it is asked for."""
        for place, owned in tuple(self._owned.items()):
            if owned.ready and owned.reading is None and (reading := self._reading(place, owned)) is not None:
                yield reading

    def done(self, reading: Reading) -> None:
        """Everything that the reading found is delivered."""
        owned = self._owned.get(reading.place)
        if owned is not None and owned.reading is reading:
            owned.reading = None
            owned.progress = max(owned.progress, reading.progress)

    def failed(self, reading: Reading) -> None:
        """The reading broke off: it must be done again."""
        owned = self._owned.get(reading.place)
        if owned is not None and owned.reading is reading:
            owned.reading = None
            for event, paths in reading.wanted.items():
                for path, since in paths.items():
                    self._add(owned, Shape(event, path, since, since, reading.progress - 1))

    def note(self, place: Place) -> str | None:
        """What is to be stored beside the partition's offset, now; None as long as it is not known: then nothing must
        be stored at all."""
        owned = self._owned.get(place)
        return noted(owned.progress) if owned is not None and owned.ready else None

    def to_store(self) -> dict[Place, int]:
        """Progress that has not been stored yet."""
        known = {place: owned for place, owned in self._owned.items() if owned.ready}
        return {place: owned.progress for place, owned in known.items() if owned.progress != owned.stored}

    def stored(self, progress: Mapping[Place, int]) -> None:
        for place, offset in progress.items():
            if place in self._owned:
                self._owned[place].stored = offset

    def _add(self, owned: _Owned, shape: Shape) -> None:
        key = (shape.event, shape.path)
        before = owned.pending.get(key)
        if before is None or shape.since < before.since:
            owned.pending[key] = shape

    def _reading(self, place: Place, owned: _Owned) -> Reading | None:
        """The reading that is due, if there is something to be found by it."""
        progress = self._shapes.offset + 1
        shapes = [s for s in owned.pending.values() if owned.names.may_have(s.event, s.since)]
        owned.pending = {}
        if not shapes or not owned.next_offset:
            owned.progress = max(owned.progress, progress)
            return None
        wanted: dict[str, dict[str, int]] = {}
        for shape in shapes:
            wanted.setdefault(shape.event, {})[shape.path] = shape.since
        since = min(shape.since for shape in shapes)
        owned.reading = Reading(place, since, owned.next_offset, wanted, progress)
        return owned.reading
