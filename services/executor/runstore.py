"""Runs in a partition's state: entries to changes, changes to runs, and the timer index kept in step.

A `Draft` is what one commit will write: an overlay over the state, so that facts later in the same commit see what
earlier ones did. Nothing reaches the state before the changelog has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import FunctionKey, JobId, RunId
from ..messages.records import (
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
    from .cancellations import CancellationScan

_PREFIX_END = b"\xff"
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
        value = self.state.get(key)
        return None if value is None else self._codec.decode(value)

    def keys_of(self, run_id: RunId) -> list[bytes]:
        """Every state key of the run, for its purge."""
        found = [key for key, _ in self._scan(keys.steps_prefix(run_id))]
        found += [key for key, _ in self._scan(keys.jobs_prefix(run_id))]
        return [*found, keys.progress_key(run_id), keys.run_key(run_id), keys.end_key(run_id)]

    def _read(self, run_id: RunId) -> Run | None:
        value = self.state.get(keys.run_key(run_id))
        if value is None:
            return None
        values = [value for value in map(self.state.get, (keys.progress_key(run_id), keys.end_key(run_id))) if value]
        values += [value for _, value in self._scan(keys.steps_prefix(run_id))]
        values += [value for _, value in self._scan(keys.jobs_prefix(run_id))]
        entries = [_entry(self._codec.decode(each)) for each in values]
        return restore(self._codec.decode_as(RunStarted, value), entries)

    def _scan(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        return self.state.scan(prefix, prefix + _PREFIX_END)


def _size(run: Run) -> int:
    """Characters that the run's payloads take, about."""
    return run.state_bytes + sum(map(len, run.started.events))


def _entry(record: Record) -> Entry:
    if isinstance(record, RunStarted | JobScheduled | StepFinished | RunProgressed | RunEnded):
        return record
    raise TypeError(f"a {type(record).__name__} lies under a run's key")


class Draft:
    """What the next commit writes: changelog records, and the index changes that follow from them."""

    def __init__(self, store: RunStore, codec: Codec) -> None:
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
        self._index: dict[bytes, bytes | None] = {}
        self._runs: dict[RunId, Run] = {}
        self._store = store
        self._codec = codec

    def run(self, run_id: RunId) -> Run | None:
        """The run as it will be after this commit."""
        return self._runs.get(run_id) or self._store.load(run_id)

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
        value = self.records[key] if key in self.records else self._store.state.get(key)
        return None if value is None else self._codec.decode(value)

    def send(self, message: Message | SignalAnswered) -> None:
        """Let this go out with the commit."""
        self.messages.append(message)

    def write(self, key: bytes, record: Record) -> None:
        """Put a record under a key that had none with a due time."""
        self.records[key] = self._codec.encode(record)
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

    def applied(self, offset: int) -> None:
        """Commands up to this offset of the run-steps partition are part of this commit."""
        self.records[keys.OFFSET] = self._codec.encode(OffsetApplied(offset))

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
    """The changes that a batch of changelog records makes to a state: the records, and the index derived from them."""
    last = dict(records)
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
    due_at = None if value is None else due_of(codec.decode(value))
    return [] if due_at is None else [timer_key(due_at, key)]
