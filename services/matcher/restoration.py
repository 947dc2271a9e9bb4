"""A partition's table brought up to date from its topics, and what nobody had settled, settled.

`waits` is read from where the local table stands to the end. `correlations` is read up to where its events have been
handed over, as far back as a wait may look: the window before the first wait that is not yet settled, or before now.
Waits behind the group's committed offset were perhaps never checked against earlier events: they are checked here, at
the speed of a restore, so that the group goes on behind them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import UndecodableRecord
from ..kafka.partition_log import LogRecord, PartitionLog
from ..messages.codec import Codec
from ..messages.keys import wait_key
from ..messages.records import CorrelatedEvent, ResumeRun, Wait
from ..state.store import Change
from .waits import WaitTable, fits

#: Tombstones older than a day may be gone from the topic: a local copy that is nearly as old is built again.
STALE_MS = 12 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Source:
    """One of the two logs of a partition, and how far the group has settled it (None: never)."""

    log: PartitionLog
    committed: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a portion of the restore gave: commands to send, and records that are no waits, each with its reason."""

    commands: list[ResumeRun] = field(default_factory=list)
    unusable: list[tuple[LogRecord, str]] = field(default_factory=list)


class Restoration:
    """One restore of one table, portion by portion: whoever drives it may stop between any two."""

    def __init__(self, table: WaitTable, codec: Codec, window_ms: int) -> None:
        self._table = table
        self._codec = codec
        self._window_ms = window_ms
        self.waits_end = 0
        """Every wait before this offset is in the table, and settled when all portions are delivered."""
        self.restored = 0
        """Records of `waits` that were read."""

    def portions(self, waits: Source, correlations: Source, now: int) -> Generator[Settled, None, None]:
        """Do the work; each portion must be delivered before the group's offset moves to `waits_end`."""
        first, self.waits_end = waits.log.bounds()
        events_first, events_end = correlations.log.bounds()
        origin = f"{waits.log.topic_id()} {correlations.log.topic_id()}"
        if self._is_useless(self.waits_end, events_end, now) or not self._table.is_folded_from(origin):
            self._table.clear()
        self._table.remember_origin(origin, now)
        unsettled = max(waits.committed or 0, first)
        oldest = _first_time(waits.log, unsettled, self.waits_end)
        back_to = correlations.log.offset_at(min(now if oldest is None else oldest, now) - self._window_ms)
        start = max(self._table.correlations_offset + 1, back_to, events_first)
        for events in correlations.log.read(start, min(correlations.committed or 0, events_end)):
            self._remember(events)
            yield Settled()
        start = max(min(self._table.waits_offset + 1, unsettled), first)
        for records in waits.log.read(start, self.waits_end):
            yield from self._settled(records, unsettled, now)

    def _is_useless(self, waits_end: int, events_end: int, now: int) -> bool:
        """Older than what is sure to be on the topic, or ahead of it: topics that were made anew."""
        table = self._table
        ahead = table.waits_offset >= waits_end or table.correlations_offset >= events_end
        return ahead or (table.applied_at > 0 and now - table.applied_at > STALE_MS)

    def _remember(self, records: Sequence[LogRecord]) -> None:
        at = records[-1].timestamp
        self._table.remember(self._events(records), records[-1].offset, at)

    def _events(self, records: Sequence[LogRecord]) -> Iterator[tuple[CorrelatedEvent, bytes]]:
        for record in records:
            try:
                yield self._codec.decode_as(CorrelatedEvent, record.value or b""), record.value or b""
            except UndecodableRecord:  # was a dead letter when it was handed over
                continue

    def _settled(self, records: Sequence[LogRecord], unsettled: int, now: int) -> Iterator[Settled]:
        self.restored += len(records)
        changes: list[Change] = []
        found = Settled()
        waits: list[tuple[bytes, Wait]] = []
        known = self._table.waits_offset
        for record in records:
            key = record.key or b""
            if record.offset >= unsettled and record.value is not None:
                try:
                    waits.append((key, read_wait(self._codec, key, record.value)))
                except UndecodableRecord as error:
                    found.unusable.append((record, str(error)))
                    continue
            if record.offset > known and fits(key):
                changes.append((key, record.value))
        self._table.fold(changes, max(known, records[-1].offset), now)
        yield found
        if waits and self._table.has_events():
            yield from self._looked_back(waits)

    def _looked_back(self, waits: list[tuple[bytes, Wait]]) -> Iterator[Settled]:
        found = Settled()
        for key, wait in waits:
            if not self._table.is_pending(key):
                continue
            for page in self._table.looked_back(wait):
                found.commands.extend(page)
            if sum(len(command.event) for command in found.commands) > 1_000_000:
                yield found
                found = Settled()
        yield found


def read_wait(codec: Codec, key: bytes, value: bytes) -> Wait:
    """The wait that a record holds; `UndecodableRecord` also when it lies under another's key."""
    wait = codec.decode_as(Wait, value)
    if wait_key(wait).encode() != key:
        raise UndecodableRecord(f"the key of this wait must be {wait_key(wait)[:200]}")
    return wait


def _first_time(log: PartitionLog, start: int, end: int) -> int | None:
    """When the first record of the range was written; None when there is none."""
    for records in log.read(start, end):
        return records[0].timestamp
    return None
