"""Topics as lists, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    """A group's offsets."""

    def __init__(self) -> None:
        self.offsets: dict[Place, int] = {}

    def read(self, places: Sequence[Place]) -> dict[Place, int]:
        return {place: self.offsets[place] for place in places if place in self.offsets}

    def write(self, offsets: Mapping[Place, int]) -> None:
        self.offsets |= offsets
