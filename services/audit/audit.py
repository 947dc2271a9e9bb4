"""The audit: reads the topics, each up to where it ended when the audit began, and lets the parts judge.

Nothing is written, no consumer group is joined. On a system that works, something is always in motion between two
topics: so whatever is found is looked at once more, and only what is found again counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UndecodableRecord
from ..functions.table import FunctionTable
from ..kafka.partition_log import GroupOffsets, KafkaPartitionLog, LogRecord
from ..kafka.schema_registry import wait_for_codec
from ..messages.ids import RunId
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.records import App, DeadLetter, Function, StartRun
from ..settings import KafkaSettings
from . import local, waits
from .changelog import ChangelogAudit
from .findings import Findings
from .starts import StartsAudit

#: Between the two looks at what was found.
CONFIRM_SECONDS = 3.0
#: A changelog's run that is purged may have vanished without a trace after this long.
PURGE_MS = 24 * 3600 * 1000


def audit(settings: KafkaSettings, state_folder: Path | None, say: Callable[[str], None]) -> Findings:
    """Look at everything; look again at what was found. `Unavailable` when the topics cannot be read to their end.

    `state_folder` holds an executor's local stores (`partition-0` …), to be held against the changelog.
    """
    first = _Look(settings, state_folder, say).findings()
    if first.clean:
        return first
    say(f"{sum(first.breaches.values())} findings; looking once more, for some may only have been in motion")
    time.sleep(CONFIRM_SECONDS)
    return first.confirmed_by(_Look(settings, state_folder, say).findings())


class _Look:
    """One reading of all topics."""

    def __init__(self, settings: KafkaSettings, state_folder: Path | None, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._topics = settings.topics()
        self._state_folder = state_folder
        self._say = say
        self._codec, schemas = asyncio.run(wait_for_codec(settings))
        self._incoming = IncomingEvents(self._codec, schemas)

    def findings(self) -> Findings:
        found = Findings()
        matched = self._matched()
        changelogs = [self._changelog(partition, found) for partition in range(self._topics.run_partitions)]
        now = int(time.time() * 1000)
        for changelog in changelogs:
            found.merge(changelog.finish(now))
        self._say("checking what came of the events")
        found.merge(self._starts(changelogs, matched))
        self._say("checking the waits")
        expected = {key: job for changelog in changelogs for key, job in changelog.wait_keys().items()}
        found.merge(waits.compare(expected, self._registered_waits()))
        return found

    def _matched(self) -> dict[tuple[str, int], int]:
        """How far the matcher has acknowledged each partition of the event topics."""
        offsets = GroupOffsets(self._settings, f"{self._settings.topic_prefix}matcher")
        names = (self._topics.events, self._topics.internal_events)
        try:
            return offsets.read([(name, p) for name in names for p in range(self._topics.event_partitions)])
        finally:
            offsets.close()

    def _changelog(self, partition: int, found: Findings) -> ChangelogAudit:
        self._say(f"reading the changelog of partition {partition}")
        changelog = ChangelogAudit(partition, self._codec)
        store = self._local_store(partition)
        until = store.offset if store is not None else -1
        compared = store is None
        for record in self._read(self._topics.run_state, partition):
            if store is not None and not compared and record.offset > until:
                found.merge(local.compare(partition, changelog.folded, store.pairs()))
                compared = True
            changelog.take(record.offset, record.key or b"", record.value)
        if store is not None and not compared:
            found.merge(local.compare(partition, changelog.folded, store.pairs()))
        return changelog

    def _local_store(self, partition: int) -> _LocalStore | None:
        if self._state_folder is None:
            return None
        path = self._state_folder / f"partition-{partition}"
        return _LocalStore(path) if path.is_dir() else None

    def _starts(self, changelogs: list[ChangelogAudit], matched: dict[tuple[str, int], int]) -> Findings:
        commanded, lost = self._commands(changelogs)
        started: set[RunId] = set(commanded)
        for changelog in changelogs:
            started |= changelog.started | changelog.purged
        marks = {key for changelog in changelogs for key in changelog.deduplicated}
        starts = StartsAudit(self._table(), self._incoming, started, marks, self._dead_letters())
        for (topic, partition), end in matched.items():
            for record in self._read(topic, partition, end):
                starts.take(_arrival(topic, partition, record), topic == self._topics.internal_events)
        starts.findings.merge(lost)
        return starts.findings

    def _commands(self, changelogs: list[ChangelogAudit]) -> tuple[set[RunId], Findings]:
        """Runs with a start command; those whose owner has taken it must have begun."""
        findings, commanded = Findings(), set[RunId]()
        since = int(time.time() * 1000) - PURGE_MS // 2
        for partition, changelog in enumerate(changelogs):
            began = changelog.started | changelog.purged
            for record in self._read(self._topics.run_steps, partition):
                command = self._decoded(record)
                if not isinstance(command, StartRun):
                    continue
                commanded.add(command.run_id)
                findings.checked["start commands"] += 1
                taken = record.offset <= changelog.applied and record.timestamp >= since
                if taken and command.dedupe_key is None and command.run_id not in began:
                    place = f"{self._topics.run_steps}/{partition}@{record.offset}"
                    findings.add("every command is applied", command.run_id, f"its start at {place} has left no run")
        return commanded, findings

    def _registered_waits(self) -> set[str]:
        found: dict[str, bool] = {}
        for partition in range(self._topics.wait_partitions):
            for record in self._read(self._topics.waits, partition):
                found[(record.key or b"").decode("utf-8", "replace")] = record.value is not None
        return {key for key, alive in found.items() if alive}

    def _table(self) -> FunctionTable:
        table = FunctionTable()
        for record in self._read(self._topics.functions, 0):
            decoded = self._decoded(record)
            if isinstance(decoded, Function | App):
                table.apply(decoded, record.offset)
        return table

    def _dead_letters(self) -> set[tuple[str, int, int]]:
        letters = map(self._decoded, self._read(self._topics.dead_letters, 0))
        return {(each.topic, each.partition, each.offset) for each in letters if isinstance(each, DeadLetter)}

    def _decoded(self, record: LogRecord) -> object:
        try:
            return None if record.value is None else self._codec.decode(record.value)
        except UndecodableRecord:
            return None

    def _read(self, topic: str, partition: int, end: int | None = None) -> Iterator[LogRecord]:
        log = KafkaPartitionLog(self._settings, topic, partition)
        try:
            first, last = log.bounds()
            for batch in log.read(first, last if end is None else min(end, last)):
                yield from batch
        finally:
            log.close()


class _LocalStore:
    """A RocksDB store as it lies on disk, opened for reading beside whoever owns it."""

    def __init__(self, path: Path) -> None:
        from ..state.rocks import read_pairs  # RocksDB is loaded only when there is a store to look at

        self.offset, self._pairs = read_pairs(path)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Everything that comes from the changelog."""
        return self._pairs


def _arrival(topic: str, partition: int, record: LogRecord) -> Arrival:
    return Arrival(topic, partition, record.offset, record.timestamp, record.value, record.headers)
