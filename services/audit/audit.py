"""The audit: reads the topics, each up to where it ended when the audit began, and lets the parts judge.

Nothing is written, no consumer group is joined. On a system that works, something is always in motion between two
topics: so whatever is found is looked at once more, and only what is found again counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from ..errors import InvalidRegistration, TopicMismatch, Unavailable, UndecodableRecord
from ..functions.table import FunctionTable
from ..kafka.asking import until_answered
from ..kafka.partition_log import GroupOffsets, KafkaPartitionLog, LogRecord
from ..kafka.schema_registry import wait_for_codec
from ..kafka.topics import check_topics
from ..messages.ids import RunId
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.keys import OWNER_HEADER
from ..messages.records import App, DeadLetter, Function, StartRun
from ..settings import KafkaSettings
from . import ends, local, waits
from .backlog import Backlog
from .changelog import ChangelogAudit
from .findings import Findings
from .starts import StartsAudit
from .stores import LocalStore, stores_of
from .timers import TimersAudit, without_own
from .waits import WaitsAudit

#: Between the two looks at what was found.
CONFIRM_SECONDS = 3.0
#: A broker that has just come up answers before it knows its groups again: it is asked for so long.
COORDINATOR_SECONDS = 15.0
#: Ended runs and marks of deduplication are kept for a day: what is asked for its run must be well within it.
ASKED_MS = 12 * 3600 * 1000


def audit(
    settings: KafkaSettings,
    data_dirs: Sequence[Path],
    say: Callable[[str], None],
    history: ends.Shown | None = None,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> Findings:
    """Look at everything; look again at what was found. `Unavailable` when the topics cannot be read to their end,
    `TopicMismatch` when they have another shape than the settings say: what is read would be a part, and wrong.

    `data_dirs` are those of executors and matchers, whose local stores are held against the topics.
    """
    if problems := check_topics(settings):
        raise TopicMismatch("; ".join(problems))
    first = _look(settings, data_dirs, say, history)
    if first.clean:
        return first
    say(f"{sum(first.breaches.values())} findings; looking once more, for some may only have been in motion")
    time.sleep(confirm_seconds)
    return first.confirmed_by(_look(settings, data_dirs, say, history))


def _look(
    settings: KafkaSettings, data_dirs: Sequence[Path], say: Callable[[str], None], history: ends.Shown | None
) -> Findings:
    with closing(KafkaPartitionLog(settings, settings.topics().run_state, 0)) as log:
        return _Look(settings, log, data_dirs, say, history).findings()


class _Look:
    """One reading of all topics."""

    def __init__(
        self,
        settings: KafkaSettings,
        log: KafkaPartitionLog,
        data_dirs: Sequence[Path],
        say: Callable[[str], None],
        history: ends.Shown | None,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics()
        self._log = log
        self._data_dirs = data_dirs
        self._history = history
        self._say = say
        self._now = int(time.time() * 1000)  # as of before anything is read: what is late now was so then
        self._codec, schemas = asyncio.run(wait_for_codec(settings))
        self._incoming = IncomingEvents(self._codec, schemas)

    def findings(self) -> Findings:
        found = Findings()
        matched = self._matched()
        changelogs = [self._changelog(partition, found) for partition in range(self._topics.run_partitions)]
        for changelog in changelogs:
            found.merge(changelog.finish(self._now))
            if self._history is not None:
                found.merge(ends.compare(changelog.ended, self._history))
        self._say("checking what came of the events")
        found.merge(self._starts(changelogs, matched))
        self._say("checking the waits")
        expected = {key: job for changelog in changelogs for key, job in changelog.wait_keys().items()}
        found.merge(waits.compare(expected, self._registered_waits(found)))
        return found

    def _matched(self) -> dict[tuple[str, int], int]:
        """How far the matcher has acknowledged each partition of the event topics; 0 where it has not."""
        offsets = GroupOffsets(self._settings, f"{self._settings.topic_prefix}matcher")
        names = (self._topics.events, self._topics.internal_events)
        places = [(name, p) for name in names for p in range(self._topics.event_partitions)]
        with closing(offsets):
            found = until_answered(lambda: offsets.read(places), COORDINATOR_SECONDS, (Unavailable,))
            return dict.fromkeys(places, 0) | found

    def _changelog(self, partition: int, found: Findings) -> ChangelogAudit:
        self._say(f"reading the changelog of partition {partition}")
        found.checked["partitions"] += 1
        stores = stores_of(self._data_dirs, self._topics.prefix, "state", partition)
        changelog = ChangelogAudit(partition, self._codec, folding=bool(stores))
        timers = TimersAudit(partition, self._codec)
        for record in self._read(self._topics.run_state, partition):
            while stores and record.offset > stores[0].offset:
                found.merge(local.compare(partition, changelog.folded, timers.passed(stores.pop(0).pairs)))
            changelog.take(record.offset, record.key or b"", record.value, _owner(record))
        for store in stores:
            found.merge(local.compare(partition, changelog.folded, timers.passed(store.pairs)))
        found.merge(timers.findings)
        changelog.folded.clear()
        return changelog

    def _starts(self, changelogs: list[ChangelogAudit], matched: dict[tuple[str, int], int]) -> Findings:
        dead = self._dead_letters()
        commanded, lost = self._commands(changelogs, dead)
        started: set[RunId] = set(commanded)
        for changelog in changelogs:
            started |= changelog.started | changelog.purged
        marks = {key for changelog in changelogs for key in changelog.deduplicated}
        since = self._now - ASKED_MS
        starts = StartsAudit(self._table(), self._incoming, started, marks, dead, since)
        for (topic, partition), taken in matched.items():
            backlog = Backlog("every event is taken", topic, partition, taken, self._now)
            for record in self._read(topic, partition):
                if backlog.take(record.offset, record.timestamp):
                    starts.take(_arrival(topic, partition, record), topic == self._topics.internal_events)
            starts.findings.merge(backlog.findings())
        starts.findings.merge(lost)
        return starts.findings

    def _commands(
        self, changelogs: list[ChangelogAudit], dead: Container[tuple[str, int, int]]
    ) -> tuple[set[RunId], Findings]:
        """Runs with a start command; one that its owner has taken has left a run, a mark or a dead letter."""
        findings, commanded, topic = Findings(), set[RunId](), self._topics.run_steps
        for partition, changelog in enumerate(changelogs):
            backlog = Backlog("every command is taken", topic, partition, changelog.applied + 1, self._now)
            for record in self._read(topic, partition):
                taken = backlog.take(record.offset, record.timestamp)
                command = self._decoded(record)
                if not isinstance(command, StartRun):
                    continue
                commanded.add(command.run_id)
                findings.checked["start commands"] += 1
                asked = taken and record.timestamp >= self._now - ASKED_MS
                asked = asked and (topic, partition, record.offset) not in dead
                if asked and not changelog.knows(command):
                    place = f"{topic}/{partition}@{record.offset}"
                    findings.add("every command is applied", command.run_id, f"its start at {place} has left no run")
            findings.merge(backlog.findings())
        return commanded, findings

    def _registered_waits(self, found: Findings) -> set[str]:
        registered: set[str] = set()
        for partition in range(self._topics.wait_partitions):
            stores = stores_of(self._data_dirs, self._topics.prefix, "waits", partition)
            table = WaitsAudit(self._codec)
            for record in self._read(self._topics.waits, partition):
                while stores and record.offset > stores[0].offset:
                    found.merge(_against(partition, table, stores.pop(0)))
                table.take(record.key or b"", record.value)
            for store in stores:
                found.merge(_against(partition, table, store))
            found.merge(table.unreadable(partition))
            registered |= table.registered
        return registered

    def _table(self) -> FunctionTable:
        table = FunctionTable()
        for record in self._read(self._topics.functions, 0):
            decoded = self._decoded(record)
            if isinstance(decoded, Function | App):
                with suppress(InvalidRegistration):  # services pass over it, and go on with what they knew
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
        """The records of a partition; they must be taken before another partition is read."""
        self._log.turn_to(topic, partition)
        first, last = self._log.bounds()
        for batch in self._log.read(first, last if end is None else min(end, last)):
            yield from batch


def _against(partition: int, table: WaitsAudit, store: LocalStore) -> Findings:
    return local.compare(partition, table.folded, without_own(store.pairs), "waits are the fold", table.undecided)


def _owner(record: LogRecord) -> bytes | None:
    return next((value for name, value in record.headers if name == OWNER_HEADER), None)


def _arrival(topic: str, partition: int, record: LogRecord) -> Arrival:
    return Arrival(topic, partition, record.offset, record.timestamp, record.value, record.headers)
