"""Runs in a partition's state: entries to changes, changes to runs, and the timer index kept in step.

A `Draft` is what one commit will write: an overlay over the state, so that facts later in the same commit see what
earlier ones did. Nothing reaches the state before the changelog has it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from ..errors import Unavailable, UndecodableRecord
from ..messages import keys
from ..messages.codec import SINGLE_OBJECT, Codec
from ..messages.ids import FunctionKey, JobId, RunId
from ..messages.records import (
    DeadLetter,
    EventDeduplicated,
    JobScheduled,
    OffsetApplied,
    Record,
    RunEnded,
    RunProgressed,
    RunStarted,
    SignalAnswered,
    StepFinished,
)
from ..runs.effects import Effect, Message
from ..runs.run import Entry, JobRemoved, Run, restore
from ..state.store import Change, PartitionState
from .timers import due_of, timer_key

if TYPE_CHECKING:
    from .arrivals import Arrival
    from .cancellations import CancellationScan

log = logging.getLogger(__name__)

_PREFIX_END = b"\xff"
#: What one commit writes to the changelog at most, and the last arrival's share beyond it.
MAX_RECORDS = 20_000
MAX_RECORDS_BYTES = 32 * 1024 * 1024
#: Kinds of keys whose records stand in the timer index.
TIMED_KINDS = frozenset((b"job", b"dedupe", b"end", b"signal", b"cron", b"cancellation"))
#: Characters of payload that the decoded runs of a partition may hold together.
MAX_CACHED_SIZE = 32 * 1024 * 1024


class RunStore:
    """Runs of one partition, by id; decoded ones are kept up to a bound in number and in characters."""

    def __init__(self, state: PartitionState, codec: Codec, cached_runs: int) -> None:
        self.state = state
        self._codec = codec
        self._cached_runs = cached_runs
        self._cache: OrderedDict[RunId, Run] = OrderedDict()
        self._cached_size = 0

    def load(self, run_id: RunId) -> Run | None:
        """The run with all its entries, or None when this partition has none by that id."""
        run = self._cache.get(run_id)
        if run is None:
            run = self._read(run_id)
            if run is not None:
                self.keep(run)
        return run

    def keep(self, run: Run) -> None:
        """Take the run as it is after a commit; an ended one is only in the state from now on."""
        self.release(run.id)
        if run.ended is not None:
            return
        self._cache[run.id] = run
        self._cached_size += _size(run)
        while len(self._cache) > self._cached_runs or (self._cached_size > MAX_CACHED_SIZE and len(self._cache) > 1):
            self._cached_size -= _size(self._cache.popitem(last=False)[1])

    def release(self, run_id: RunId) -> None:
        """Nothing of the run is under way: it costs disk alone until it is loaded again."""
        gone = self._cache.pop(run_id, None)
        if gone is not None:
            self._cached_size -= _size(gone)

    def draft(self) -> Draft:
        return Draft(self, self._codec)

    def record(self, key: bytes) -> Record | None:
        """The record under a state key."""
        return _readable(self._codec, key, self.state.get(key))

    def offset_applied(self) -> OffsetApplied | None:
        """How far commands are applied; raises `Unavailable` when only a later release can tell.

        To begin anew then would start again what was purged long ago.
        """
        value = self.state.get(keys.OFFSET)
        record = _readable(self._codec, keys.OFFSET, value)
        if record is None and value is not None and value[:2] == SINGLE_OBJECT and not self._codec.knows(value):
            raise Unavailable("a later release has written how far commands are applied: run that one here, too")
        return record if isinstance(record, OffsetApplied) else None

    def keys_of(self, run_id: RunId) -> list[bytes]:
        """Every state key of the run, for its purge."""
        found = [key for key, _ in self._scan(keys.steps_prefix(run_id))]
        found += [key for key, _ in self._scan(keys.jobs_prefix(run_id))]
        return [*found, keys.progress_key(run_id), keys.run_key(run_id), keys.end_key(run_id)]

    def _read(self, run_id: RunId) -> Run | None:
        started = self.record(keys.run_key(run_id))
        if not isinstance(started, RunStarted) or started.run_id != run_id:
            return None
        pairs = [(key, self.state.get(key)) for key in (keys.progress_key(run_id), keys.end_key(run_id))]
        pairs += self._scan(keys.steps_prefix(run_id))
        pairs += self._scan(keys.jobs_prefix(run_id))
        return restore(started, [each for pair in pairs if (each := self._entry(*pair)) is not None])

    def _entry(self, key: bytes, value: bytes | None) -> Entry | None:
        record = _readable(self._codec, key, value)
        if record is None or isinstance(record, JobScheduled | StepFinished | RunProgressed | RunEnded):
            return record
        log.error("run-state: a %s under %r is passed over", type(record).__name__, key[:200])
        return None

    def _scan(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        return self.state.scan(prefix, prefix + _PREFIX_END)


def _size(run: Run) -> int:
    """Characters that the run's payloads take, about."""
    return run.state_bytes + sum(map(len, run.started.events))


def _readable(codec: Codec, key: bytes, value: bytes | None) -> Record | None:
    """The record under a key. What no release of ours wrote there counts as nothing: it must not stop the others."""
    if value is None:
        return None
    try:
        return codec.decode(value)
    except UndecodableRecord as error:
        log.error("run-state: what lies under %r is passed over: %s", key[:200], error)
        return None


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command that could not be taken, though nothing was wrong with it that is known."""

    partition: int
    offset: int
    command: Record
    reason: str


class Draft:
    """What the next commit writes: changelog records, and the index changes that follow from them."""

    def __init__(self, store: RunStore, codec: Codec, under: Draft | None = None) -> None:
        self.records: dict[bytes, bytes | None] = {}
        """Changelog keys and values; of a key that changes twice, the last."""
        self.expiring: list[tuple[int, bytes]] = []
        """Due times and keys of what this commit writes that is no job of a run: it ends by itself."""
        self.messages: list[Message | SignalAnswered] = []
        """What goes out in the same transaction, in this order."""
        self.effects: list[Effect] = []
        """What is to be done once it is committed."""
        self.arrivals: list[CancellationScan] = []
        """What is to be taken next, once it is committed."""
        self.told: list[Callable[[], None]] = []
        """Whoever waits for the commit."""
        self.letters: list[DeadLetter] = []
        """Commands that are passed over, each as it came."""
        self.refused: list[CommandRefused] = []
        """Commands that are passed over because taking them failed."""
        self.failures = 0
        """Arrivals of any kind on which the code failed."""
        self.left: Sequence[Arrival] = ()
        """Arrivals that this commit has no room for."""
        self._size = 0
        self._index: dict[bytes, bytes | None] = {}
        self._runs: dict[RunId, Run] = {}
        self._store = store
        self._codec = codec
        self._under = under

    def beginning(self) -> Draft:
        """A draft on top of this one: `take_over` makes it part of this one, forgetting it leaves no trace."""
        return Draft(self._store, self._codec, self)

    def take_over(self, trial: Draft) -> None:
        """Everything that the trial has decided."""
        self.records |= trial.records
        self.expiring += trial.expiring
        self.messages += trial.messages
        self.effects += trial.effects
        self.arrivals += trial.arrivals
        self.told += trial.told
        self.letters += trial.letters
        self.refused += trial.refused
        self.failures += trial.failures
        self._size += trial._size
        self._index |= trial._index
        self._runs |= trial._runs

    @property
    def is_full(self) -> bool:
        """A commit of more than this may take longer than a transaction may."""
        return len(self.records) >= MAX_RECORDS or self._size >= MAX_RECORDS_BYTES

    def run(self, run_id: RunId) -> Run | None:
        """The run as it will be after this commit."""
        found = self._runs.get(run_id)
        if found is not None:
            return found
        return self._store.load(run_id) if self._under is None else self._under.run(run_id)

    def runs(self) -> Iterable[Run]:
        """The runs that this commit changes."""
        return self._runs.values()

    def change_run(self, before: Run | None, after: Run, entries: Sequence[Entry]) -> None:
        """Write a run's entries."""
        self._runs[after.id] = after
        jobs = dict(before.jobs) if before is not None else {}
        for entry in entries:
            self._write_entry(entry, jobs)

    def deduplicated(self, function: FunctionKey, event_id: str, now: int) -> RunId | None:
        """The run that this function started for the event id within the last 24 hours, or None."""
        mark = self.record(keys.dedupe_key(function, event_id))
        return mark.run_id if isinstance(mark, EventDeduplicated) and mark.expires_at > now else None

    def record(self, key: bytes) -> Record | None:
        """The record under a state key as it will be after this commit."""
        if key not in self.records and self._under is not None:
            return self._under.record(key)
        value = self.records[key] if key in self.records else self._store.state.get(key)
        return _readable(self._codec, key, value)

    def send(self, message: Message | SignalAnswered) -> None:
        """Let this go out with the commit."""
        self.messages.append(message)

    def write(self, key: bytes, record: Record) -> None:
        """Put a record under a key that had none with a due time."""
        value = self.records[key] = self._codec.encode(record)
        self._size += len(value)
        due_at = due_of(record)
        if due_at is not None:
            self._index[timer_key(due_at, key)] = b""
            if not isinstance(record, JobScheduled):
                self.expiring.append((due_at, key))

    def remove(self, key: bytes) -> None:
        """A tombstone."""
        self.records[key] = None

    def remove_timer(self, due_at: int, key: bytes) -> None:
        self._index[timer_key(due_at, key)] = None

    def applied(self, offset: int, topic_id: str) -> None:
        """Commands up to this offset of the run-steps partition are part of this commit."""
        self.records[keys.OFFSET] = self._codec.encode(OffsetApplied(offset, topic_id))

    def changes(self) -> list[Change]:
        """Everything for the state: records and index."""
        return [*self.records.items(), *self._index.items()]

    def __bool__(self) -> bool:
        return bool(self.records or self._index)

    def _write_entry(self, entry: Entry, jobs: dict[JobId, JobScheduled]) -> None:
        match entry:
            case JobScheduled():
                key = keys.job_key(entry.run_id, entry.job_id)
                self._forget_timer(key, jobs.get(entry.job_id))
                jobs[entry.job_id] = entry
                self.write(key, entry)
            case JobRemoved():
                key = keys.job_key(entry.run_id, entry.job_id)
                self._forget_timer(key, jobs.pop(entry.job_id, None))
                self.remove(key)
            case RunStarted():
                self.write(keys.run_key(entry.run_id), entry)
            case StepFinished():
                self.write(keys.step_key(entry.run_id, entry.step_id), entry)
            case RunProgressed():
                self.write(keys.progress_key(entry.run_id), entry)
            case RunEnded():
                self.write(keys.end_key(entry.run_id), entry)
            case _:
                assert_never(entry)

    def _forget_timer(self, key: bytes, job: JobScheduled | None) -> None:
        due_at = None if job is None else due_of(job)
        if due_at is not None:
            self.remove_timer(due_at, key)


def fold_changelog(state: PartitionState, codec: Codec, records: Sequence[tuple[bytes, bytes | None]]) -> list[Change]:
    """The changes that a batch of changelog records makes to a state: the records, and the index derived from them.

    A key that no release of ours writes must not reach the index and the marks, which a state keeps beside the records.
    """
    last = {key: value for key, value in records if key[:1] > b"\0"}
    changes: list[Change] = list(last.items())
    for key, value in last.items():
        kind = keys.kind_of(key)
        if kind not in TIMED_KINDS:
            continue
        before = state.get(key)
        changes += [(timer, None) for timer in _timer(codec, key, before)]
        changes += [(timer, b"") for timer in _timer(codec, key, value)]
    return changes


def _timer(codec: Codec, key: bytes, value: bytes | None) -> list[bytes]:
    record = _readable(codec, key, value)
    due_at = None if record is None else due_of(record)
    return [] if due_at is None else [timer_key(due_at, key)]
