"""Topics as lists, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from penstock.errors import Unavailable
from penstock.kafka.partition_log import LogRecord
from penstock.matcher.acknowledgements import Place


class ListLog:
    """A partition whose records come a few in a batch."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.closed = 0
        self.id = "first"
        self.fail_at = -1
        self.batch = 1

    def append(self, at: int, key: bytes | None, value: bytes | None) -> None:
        self.records.append(LogRecord(len(self.records), at, key, value))

    def topic_id(self) -> str:
        return self.id

    def bounds(self) -> tuple[int, int]:
        return 0, len(self.records)

    def offset_at(self, time_ms: int) -> int:
        return next((record.offset for record in self.records if record.timestamp >= time_ms), len(self.records))

    def read(self, start: int, end: int) -> Iterator[Sequence[LogRecord]]:
        for at in range(start, end, self.batch):
            if at == self.fail_at:
                self.fail_at = -1
                raise Unavailable("away")
            yield self.records[at : min(at + self.batch, end)]

    def close(self) -> None:
        self.closed += 1


class StoredOffsets:
    """A group's offsets, and the notes beside them."""

    def __init__(self) -> None:
        self.offsets: dict[Place, int] = {}
        self.notes: dict[Place, str] = {}

    def read(self, places: Sequence[Place]) -> dict[Place, int]:
        return {place: self.offsets[place] for place in places if place in self.offsets}

    def noted(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        return {place: (offset, self.notes.get(place, "")) for place, offset in self.read(tuple(places)).items()}

    def write(self, noted: Mapping[Place, tuple[int, str]]) -> None:
        for place, (offset, note) in noted.items():
            self.offsets[place], self.notes[place] = offset, note
