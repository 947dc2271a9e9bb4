"""The owner of one partition of runs: one writer, one order of things.

Whatever happens to the partition's runs arrives in its inbox and is taken in batches; see `PartitionOwner._turn` for
the order in which a batch becomes true.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, assert_never

from ..errors import Unavailable
from ..functions.table import FunctionTable
from ..kafka.registry import FunctionRegistry
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import FunctionKey, JobId, RunId
from ..messages.records import (
    CancellationApplied,
    CancelRun,
    ClaimSignal,
    CronScheduled,
    EventDeduplicated,
    InvokedRunEnded,
    JobScheduled,
    OffsetApplied,
    Record,
    ReleaseSignal,
    ResumeRun,
    RunEnded,
    SignalAnswered,
    SignalClaimed,
    StartRun,
)
from ..runs.advance import advance
from ..runs.cancels import cancel_rules
from ..runs.effects import CallFunction, Effect, ScheduleWake, SendRequest
from ..runs.facts import (
    CallAnswered,
    CancelRequested,
    EventMet,
    Fact,
    InvocationEnded,
    JobDue,
    RequestAnswered,
    SignalHeard,
    StartRequested,
    StepsCheckpointed,
)
from ..runs.outcomes import Responded
from ..runs.replies import Failed, Op, Returned, Stepped
from ..runs.run import Run
from ..runs.turn import Rules
from ..state.store import PartitionState
from . import signals, timers
from .cancellations import BulkCancellations, CancellationScan, reason_of
from .changelog import Changelog
from .cron import CronTriggers
from .outgoing import Outbox
from .runstore import Draft, RunStore, fold_changelog

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
#: A local state that has not been written for longer may have missed tombstones that compaction has removed since.
MAX_LOCAL_AGE_MS = DAY_MS // 2
MAX_BATCH = 500
#: Payload after which a commit takes in no more, so that a transaction stays well within what the producer may queue.
MAX_BATCH_CHARACTERS = 32 * 1024 * 1024
#: Timers taken from the index at once, so that a million due ones do not hold up what else arrives.
MAX_TIMERS = 500
#: How long a start waits for its function to be known here, when the matcher has seen more of the registry.
REGISTRY_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CommandArrived:
    """A record of the partition's `run-steps`; None when it could not be decoded."""

    offset: int
    command: Record | None


@dataclass(frozen=True, slots=True)
class RunFact:
    """Something happened to a run; `applied` is called after the commit that took it in."""

    run_id: RunId
    fact: Fact
    applied: Callable[[Run | None], None] | None = None


@dataclass(frozen=True, slots=True)
class StateDue:
    """The index says that this record's time has come."""

    due_at: int
    key: bytes


@dataclass(frozen=True, slots=True)
class SignalSent:
    """Somebody sends a signal that this partition decides about; `data` is JSON text.

    `applied` is told, after the commit, which run it reached, or None.
    """

    signal: str
    data: str
    applied: Callable[[RunId | None], None]


@dataclass(frozen=True, slots=True)
class FunctionsChanged:
    """The function table says something new: what follows from it for this partition is to be brought in line."""


Arrival = CommandArrived | RunFact | StateDue | SignalSent | FunctionsChanged | CancellationScan


class CallMaker(Protocol):
    """Calls apps. An answer comes back to the owner as `CallAnswered`."""

    def call(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the call, now or when the app has room for it. Never blocks, never raises."""

    def request(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the HTTP request that a job describes; like `call`, answered as `RequestAnswered`."""

    def drop(self, owner: PartitionOwner) -> None:
        """Forget the owner's calls: its partition is no longer ours."""


class PartitionOwner:
    """Drives the runs of one partition from `open` to `close`.

    After an error that leaves a commit in doubt, `run` ends with it: the partition is then opened anew by whoever
    owns the group membership. That is the only way to recover, whatever went wrong.
    """

    def __init__(
        self,
        partition: int,
        state: PartitionState,
        changelog: Changelog,
        registry: FunctionRegistry,
        codec: Codec,
        outbox: Outbox,
        calls: CallMaker,
        rules: Rules,
        clock: Callable[[], int],
        cached_runs: int,
    ) -> None:
        self.partition = partition
        self.next_command = 0
        """Offset of the first command that is not part of the state."""
        self._state = state
        self._changelog = changelog
        self._registry = registry
        self._codec = codec
        self._outbox = outbox
        self._calls = calls
        self._rules = rules
        self._clock = clock
        self._runs = RunStore(state, codec, cached_runs)
        self._cron = CronTriggers(partition, outbox.run_partitions, registry.table, state)
        self._cancellations = BulkCancellations(registry.table, state, codec)
        self._inbox: deque[Arrival] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, f"partition-{partition}")
        self._timer_cursor = timers.first_timer()
        self._timers_seen_until = 0
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at = 0
        self._due_waiting = 0
        self._more_is_due = False
        self._latest = 0
        self._in_vain = -1
        self.closed = False

    @property
    def waiting(self) -> int:
        """Arrivals that are not taken yet."""
        return len(self._inbox)

    async def open(self) -> None:
        """Take the partition over: fence, restore to the end of the changelog, find what is due.

        Fencing comes first, so that nothing can be added behind what was restored.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._take_over)
        offset = self._runs.record(keys.OFFSET)
        self.next_command = offset.offset + 1 if isinstance(offset, OffsetApplied) else 0
        # What the previous owner did by a newer table must not be undone by an older one.
        await self._registry.refresh(REGISTRY_TIMEOUT_SECONDS)
        self.put(FunctionsChanged())
        self._take_timers()

    async def run(self) -> None:
        """Take what arrives until cancelled, or until a commit fails."""
        while True:
            await self._arrived.wait()
            await self._turn(self._next_batch())
            if self._more_is_due and not self._due_waiting:
                self._take_timers()

    def _next_batch(self) -> list[Arrival]:
        """What one commit takes in: bounded in number and in size, but never nothing."""
        batch: list[Arrival] = []
        size = 0
        while self._inbox and len(batch) < MAX_BATCH and size < MAX_BATCH_CHARACTERS:
            arrival = self._inbox.popleft()
            batch.append(arrival)
            size += size_of(arrival)
        if not self._inbox:
            self._arrived.clear()
        return batch

    def put(self, arrival: Arrival) -> None:
        """Add to the inbox. After `close`, nothing happens: the next owner will find out by itself."""
        if not self.closed:
            self._inbox.append(arrival)
            self._arrived.set()

    def put_all(self, arrivals: Sequence[Arrival]) -> None:
        if arrivals and not self.closed:
            self._inbox.extend(arrivals)
            self._arrived.set()

    def load(self, run_id: RunId) -> Run | None:
        """The run as of the last commit, from memory or state."""
        return self._runs.load(run_id)

    def started_for(self, function: FunctionKey, event_id: str) -> RunId | None:
        """The run that the function started for an event id within the last day, as of the last commit."""
        return self._runs.draft().deduplicated(function, event_id, self._now())

    async def close(self) -> None:
        """Stop writing and let go of the files. Runs under way are continued by the next owner."""
        self.closed = True
        if self._wake is not None:
            self._wake.cancel()
        self._inbox.clear()
        self._calls.drop(self)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._changelog.close)
        finally:
            # Whatever happens: a state that stays open can never be opened again.
            await loop.run_in_executor(self._thread, self._state.close)
            self._thread.shutdown(wait=False)

    def _take_over(self) -> None:
        self._changelog.fence()
        state = self._state
        first, end = self._changelog.bounds()
        age = self._clock() - state.applied_at()
        offset = state.changelog_offset()
        if offset >= 0 and (age > MAX_LOCAL_AGE_MS or not first - 1 <= offset < end):
            # Too old to be brought up to date, or ahead of the changelog: then that is not the one it was folded from.
            log.warning("partition %s: local state does not fit the changelog, rebuilding it", self.partition)
            state.clear()
        folded = 0
        for records, offset in self._changelog.read(state.changelog_offset(), end):
            if self.closed:
                raise Unavailable("closed while its changelog was read")
            if records:
                state.apply(fold_changelog(state, self._codec, records), offset, self._clock())
                folded += len(records)
        log.info("partition %s: restored from %s changelog records", self.partition, folded)

    async def _turn(self, batch: Sequence[Arrival]) -> None:
        """Make a batch of arrivals true, in this order:

        1. take what arrived, as facts;
        2. `advance` each run: entries and effects;
        3. one transaction: the entries, the applied command offset, the messages to others;
        4. the same entries into the state, with the changelog offset, in one step;
        5. only now the effects: calls, timers, answers to whoever asked.

        A crash after 1 or 2 loses nothing: commands are read again, calls under way are made again. After 3 the state
        catches up from the changelog. After 4 the calls stand in the index as under way. A failed commit raises, and
        the partition is opened anew.
        """
        await self._know_functions(batch)
        now = self._now()
        draft = self._runs.draft()
        effects: list[Effect] = []
        applied: list[Callable[[], None]] = []
        for arrival in batch:
            self._take(arrival, draft, effects, applied, now)
        if draft.records:
            loop = asyncio.get_running_loop()
            outgoing = self._outbox.records(draft.messages, now)
            offset = await loop.run_in_executor(self._thread, self._changelog.commit, draft.records, outgoing)
            if self.closed:
                return
            self._outbox.committed(outgoing)
            self._state.apply(draft.changes(), offset, now)
        elif draft:
            self._state.apply(draft.changes(), self._state.changelog_offset(), now)
        for run in draft.runs():
            self._runs.keep(run)
        for due_at, key in draft.expiring:
            self._expect(StateDue(due_at, key))
        self._perform(effects)
        for callback in applied:
            callback()
        self._release_idle(draft)

    async def _know_functions(self, batch: Sequence[Arrival]) -> None:
        """Cause before effect: a start waits until the function that it is for is known here."""
        needed = max(
            (
                a.command.registry_offset
                for a in batch
                if isinstance(a, CommandArrived) and isinstance(a.command, StartRun)
            ),
            default=-1,
        )
        known = self._registry.table.offset
        if needed <= known or needed >= self._in_vain > known:
            return  # an offset that did not come once is not waited for again
        if not await self._registry.reached(needed, REGISTRY_TIMEOUT_SECONDS):
            self._in_vain = needed
            log.warning("partition %s: the functions topic has not been read up to %s yet", self.partition, needed)

    def _take(
        self,
        arrival: Arrival,
        draft: Draft,
        effects: list[Effect],
        applied: list[Callable[[], None]],
        now: int,
    ) -> None:
        match arrival:
            case CommandArrived():
                if arrival.offset < self.next_command:
                    return
                self.next_command = arrival.offset + 1
                draft.applied(arrival.offset)
                self._take_command(arrival.command, draft, effects, now)
            case RunFact():
                self._advance(arrival.run_id, arrival.fact, draft, effects, now)
                if arrival.applied is not None:
                    applied.append(partial(self._tell, arrival.applied, arrival.run_id))
            case SignalSent():
                applied.append(partial(arrival.applied, signals.send(arrival.signal, arrival.data, draft, now)))
            case StateDue():
                self._due_waiting -= 1
                self._take_due(arrival, draft, effects, now)
            case FunctionsChanged():
                self._cron.reconcile(draft, now)
                self.put_all(self._cancellations.to_apply(draft, now))
            case CancellationScan():
                self._scan(arrival, draft, effects, now)

    def _scan(self, scan: CancellationScan, draft: Draft, effects: list[Effect], now: int) -> None:
        portion = self._cancellations.look(scan, draft, now)
        for run_id in portion.cancelled:
            self._advance(run_id, CancelRequested(reason_of(scan.cancellation)), draft, effects, now)
        if portion.following is not None:
            self.put(portion.following)

    def _tell(self, applied: Callable[[Run | None], None], run_id: RunId) -> None:
        applied(self._runs.load(run_id))

    def _take_command(self, command: Record | None, draft: Draft, effects: list[Effect], now: int) -> None:
        match command:
            case StartRun():
                self._start(command, draft, effects, now)
            case ClaimSignal():
                signals.claim(command, draft, now)
            case ReleaseSignal():
                signals.release(command, draft, now)
            case CancelRun() | ResumeRun() | InvokedRunEnded() | SignalAnswered():
                self._advance(command.run_id, fact_of(command), draft, effects, now)
            case _:
                log.warning("partition %s: a command that is none was passed over: %r", self.partition, command)

    def _start(self, command: StartRun, draft: Draft, effects: list[Effect], now: int) -> None:
        if command.dedupe_key is not None:
            earlier = draft.deduplicated(command.function, command.dedupe_key, now)
            if earlier is not None and earlier != command.run_id:
                log.debug("%s: event id %s has started %s", command.function, command.dedupe_key, earlier)
                return
            if earlier is None:
                key = keys.dedupe_key(command.function, command.dedupe_key)
                mark = EventDeduplicated(command.function, command.dedupe_key, command.run_id, now + DAY_MS)
                draft.write(key, mark)
        fact = start_fact(command, self._registry.table)
        self._advance(command.run_id, fact, draft, effects, now)
        run = draft.run(command.run_id)
        cancellation = None if run is None or run.ended else self._cancellations.at_start(run.started, now)
        if cancellation is not None:
            self._advance(command.run_id, CancelRequested(reason_of(cancellation)), draft, effects, now)

    def _advance(self, run_id: RunId, fact: Fact, draft: Draft, effects: list[Effect], now: int) -> None:
        before = draft.run(run_id)
        result = advance(before, fact, now, self._rules)
        if result.entries and result.run is not None:
            draft.change_run(before, result.run, result.entries)
        draft.messages += result.messages
        effects += result.effects

    def _take_due(self, due: StateDue, draft: Draft, effects: list[Effect], now: int) -> None:
        """The index may be behind the truth: what it points to decides, and a stale pointer is removed."""
        if due.key in draft.records:
            return
        record = self._runs.record(due.key)
        if record is None or timers.due_of(record) != due.due_at:
            draft.remove_timer(due.due_at, due.key)
            return
        match record:
            case JobScheduled():
                self._advance(record.run_id, JobDue(record.job_id), draft, effects, now)
            case CronScheduled():
                self._cron.fire(record, draft, now)
            case EventDeduplicated() | SignalClaimed() | CancellationApplied():
                draft.remove(due.key)
                draft.remove_timer(due.due_at, due.key)
            case RunEnded():
                for key in self._runs.keys_of(record.run_id):
                    draft.remove(key)
                draft.remove_timer(due.due_at, due.key)
            case _:
                draft.remove_timer(due.due_at, due.key)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case CallFunction():
                    self._calls.call(self, effect.run_id, effect.job_id)
                case SendRequest():
                    self._calls.request(self, effect.run_id, effect.job_id)
                case ScheduleWake():
                    self._schedule(effect)

    def _schedule(self, effect: ScheduleWake) -> None:
        if effect.due_at <= self._timers_seen_until:
            # The index has been read past its place already.
            self.put(RunFact(effect.run_id, JobDue(effect.job_id)))
        else:
            self._wake_no_later_than(effect.due_at)

    def _expect(self, due: StateDue) -> None:
        """Something that expires stands in the index now."""
        if due.due_at <= self._timers_seen_until:
            self._put_due(due)
        else:
            self._wake_no_later_than(due.due_at)

    def _put_due(self, due: StateDue) -> None:
        self._due_waiting += 1
        self.put(due)

    def _take_timers(self) -> None:
        """Put what is due into the inbox, and wake up again for the next.

        Of much that is due only a portion is put; the next one follows when that has been taken.
        """
        now = self._now()
        end = timers.timers_until(now)
        due = list(self._state.scan(self._timer_cursor, end, MAX_TIMERS))
        for key, _ in due:
            self._put_due(StateDue(*timers.read_timer(key)))
        self._more_is_due = len(due) == MAX_TIMERS
        if self._more_is_due:
            self._timer_cursor = due[-1][0] + b"\x00"
            self._timers_seen_until = max(self._timers_seen_until, timers.read_timer(due[-1][0])[0])
            return
        self._timer_cursor = end
        self._timers_seen_until = now
        following = next(iter(self._state.scan(end, timers.timers_until((1 << 63) - 2), 1)), None)
        if following is not None:
            self._wake_no_later_than(timers.read_timer(following[0])[0])

    def _wake_no_later_than(self, due_at: int) -> None:
        if self.closed or (self._wake is not None and self._wake_at <= due_at):
            return
        if self._wake is not None:
            self._wake.cancel()
        delay = min(max(due_at - self._now(), 0), 3_600_000) / 1000
        self._wake_at = due_at
        self._wake = asyncio.get_running_loop().call_later(delay, self._woken)

    def _woken(self) -> None:
        self._wake = None
        if not self.closed and not self._more_is_due:
            self._take_timers()

    def _now(self) -> int:
        """The clock, never backwards: what the index was read past must not be in the future again."""
        self._latest = max(self._latest, self._clock())
        return self._latest

    def _release_idle(self, draft: Draft) -> None:
        """A run that only waits is not kept in memory."""
        for run in draft.runs():
            if run.ended is None and all(job.kind not in ("call", "request") for job in run.jobs.values()):
                self._runs.release(run.id)


def size_of(arrival: Arrival) -> int:
    """Characters of payload that the arrival brings into a commit, about."""
    match arrival:
        case CommandArrived(command=StartRun(events=events)):
            return sum(map(len, events))
        case CommandArrived(command=ResumeRun(event=text)) | CommandArrived(command=InvokedRunEnded(output=text)):
            return len(text)
        case RunFact(fact=CallAnswered(reply=Returned(output=text))) | RunFact(fact=CallAnswered(reply=Failed(text))):
            return len(text)
        case RunFact(fact=CallAnswered(reply=Stepped(ops=ops))) | RunFact(fact=StepsCheckpointed(ops=ops)):
            return sum(map(_size_of_op, ops))
        case RunFact(fact=RequestAnswered(outcome=Responded(body=body))):
            return len(body)
        case SignalSent(data=text):
            return len(text)
        case _:
            return 0


def _size_of_op(op: Op) -> int:
    payload = op.opts.get("payload") or op.opts.get("body")
    # What a step asks to be sent on is held decoded; its text may be as large as an answer.
    return len(op.data or "") + len(op.error or "") + (0 if payload is None else len(repr(payload)))


def fact_of(command: CancelRun | ResumeRun | InvokedRunEnded | SignalAnswered) -> Fact:
    """What a command to a run says happened."""
    match command:
        case CancelRun():
            return CancelRequested(command.reason)
        case ResumeRun():
            return EventMet(command)
        case InvokedRunEnded():
            return InvocationEnded(command)
        case SignalAnswered():
            return SignalHeard(command)
        case _:
            assert_never(command)


def start_fact(command: StartRun, table: FunctionTable) -> StartRequested:
    """The start of a run, with what its function says now."""
    function = table.function(command.function)
    if function is None:
        return StartRequested(command, None)
    cancels = cancel_rules(function.config.raw)
    return StartRequested(command, function.version, function.config.retries + 1, cancels)
