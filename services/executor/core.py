"""What a partition's owner decides: arrivals in, one draft of a commit out.

No Kafka, no asyncio, no clock: `partition` drives it with real ones, a simulation with others. It reads the partition's
state and changes it only in `settle`, when the draft is committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from ..errors import InvalidInput, UndecodableRecord
from ..functions.table import FunctionTable
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import RunId
from ..messages.records import (
    CancellationApplied,
    CancelRun,
    ClaimSignal,
    CronScheduled,
    DeadLetter,
    EventDeduplicated,
    InvokedRunEnded,
    JobScheduled,
    Record,
    ReleaseSignal,
    ResumeRun,
    RunEnded,
    SignalAnswered,
    SignalClaimed,
    StartRun,
)
from ..messages.topics import DAY_MS
from ..runs.advance import advance
from ..runs.cancels import cancel_rules
from ..runs.errors import server_failed
from ..runs.facts import CallAnswered, CancelRequested, Fact, JobDue, RequestAnswered, StartRequested
from ..runs.outcomes import NotSent
from ..runs.replies import Failed
from ..runs.run import Run
from ..runs.turn import Rules
from ..state.store import PartitionState
from . import signals, timers
from .applied import UNKNOWN_LOG, CommandLog, continuation
from .arrivals import (
    Arrival,
    CommandArrived,
    FunctionsChanged,
    RunFact,
    SignalSent,
    StateDue,
    fact_of,
)
from .cancellations import BulkCancellations, CancellationScan, reason_of
from .cron import CronTriggers
from .runstore import CommandRefused, Draft, RunStore

log = logging.getLogger(__name__)

#: What data can make code raise that was not meant to; errors of the state are none of them.
FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    InvalidInput,
    msgspec.MsgspecError,
)

#: Makes a draft's messages to others, and raises one of `FAILURES` when what it writes cannot be committed.
Seal = Callable[[Draft], None]


def _left_open(draft: Draft) -> None:
    """For whoever looks at drafts without committing them to Kafka."""


class PartitionCore:
    """The runs, claims, marks and cron triggers of one partition."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        state: PartitionState,
        table: FunctionTable,
        codec: Codec,
        rules: Rules,
        cached_runs: int,
    ) -> None:
        self.partition = partition
        self.next_command = 0
        """Offset of the first command that is not part of the state."""
        self._commands_topic = ""
        self.runs = RunStore(state, codec, cached_runs)
        self._state = state
        self._table = table
        self._rules = rules
        self._cron = CronTriggers(partition, partitions, table, state)
        self._cancellations = BulkCancellations(table, state, codec)

    def restored(self, commands: CommandLog = UNKNOWN_LOG) -> None:
        """The state has been brought up to the end of the changelog; commands come from this log.

        Raises `Unavailable` when a later release wrote how far they are applied.
        """
        self._commands_topic = commands.topic_id
        found = continuation(self.runs.offset_applied(), commands)
        if found.warning:
            log.warning("partition %s: %s", self.partition, found.warning)
        self.next_command = found.offset

    def take(self, arrivals: Iterable[Arrival], now: int, seal: Seal = _left_open) -> Draft:
        """What these arrivals change. A command that is part of the state already changes nothing.

        An arrival that makes this code fail, or `seal`, is passed over, so that it does not stop the partition for
        good: a command is a dead letter, an app's answer fails its run. What the state cannot answer (a broken disk)
        is raised. When one commit has enough, `left` of the draft holds the arrivals that were not taken.
        """
        batch = tuple(arrivals)
        before = self.next_command, self._cancellations.under_way
        try:
            return self._taken(batch, now, seal)
        except FAILURES:
            log.exception("partition %s: a batch failed; its arrivals are taken one by one", self.partition)
            self.next_command, self._cancellations.under_way = before
            return self._taken_one_by_one(batch, now, seal)

    def _taken(self, batch: Sequence[Arrival], now: int, seal: Seal) -> Draft:
        draft = self.runs.draft()
        for place, arrival in enumerate(batch):
            if draft.is_full:
                draft.left = batch[place:]
                break
            self._take(arrival, draft, now)
        seal(draft)
        return draft

    def _taken_one_by_one(self, batch: Sequence[Arrival], now: int, seal: Seal) -> Draft:
        draft = self.runs.draft()
        for place, arrival in enumerate(batch):
            if draft.is_full:
                draft.left = batch[place:]
                break
            trial = draft.beginning()
            before = self.next_command, self._cancellations.under_way
            try:
                self._take(arrival, trial, now)
                seal(trial)
            except FAILURES as error:
                log.error("partition %s: passed over: %s: %r", self.partition, _named(arrival), error)
                self.next_command, self._cancellations.under_way = before
                trial = self._passed_over(arrival, error, draft, now, seal)
            draft.take_over(trial)
        seal(draft)
        return draft

    def _passed_over(self, arrival: Arrival, error: Exception, draft: Draft, now: int, seal: Seal) -> Draft:
        """What is written instead; when that fails as well, no more than that a command was there."""
        trial = draft.beginning()
        try:
            self._pass_over(arrival, error, trial, now)
            seal(trial)
        except FAILURES:
            log.exception("partition %s: nothing can be written instead of %s", self.partition, _named(arrival))
            trial = draft.beginning()
            trial.failures += 1
            if isinstance(arrival, CommandArrived):
                trial.applied(arrival.offset, self._commands_topic)
        if isinstance(arrival, CommandArrived):
            self.next_command = max(self.next_command, arrival.offset + 1)
        return trial

    def _pass_over(self, arrival: Arrival, error: Exception, draft: Draft, now: int) -> None:
        draft.failures += 1
        match arrival:
            case CommandArrived():
                reason = f"the executor failed on this command, please report it: {error!r}"
                draft.refused.append(CommandRefused(self.partition, arrival.offset, arrival.command, reason))
                draft.applied(arrival.offset, self._commands_topic)
            case RunFact(fact=CallAnswered() as answered):
                failed = Failed(server_failed(repr(error)), no_retry=True)
                self._advance(arrival.run_id, replace(answered, reply=failed), draft, now)
            case RunFact(fact=RequestAnswered() as answered):
                unusable = NotSent(f"the answer cannot be kept: {error!r:.500}", retriable=False)
                self._advance(arrival.run_id, replace(answered, outcome=unusable), draft, now)
            case _:
                pass

    def settle(self, draft: Draft, changelog_offset: int, now: int) -> None:
        """The draft is committed, its last record at this offset: from now on it is the state.

        A draft without records, which changes only the index, keeps the offset that the state has.
        """
        if draft:
            offset = changelog_offset if draft.records else self._state.changelog_offset()
            self._state.apply(draft.changes(), offset, now)
        for run in draft.runs():
            self.runs.keep(run)

    def release_idle(self, draft: Draft) -> None:
        """A run that only waits is not kept in memory."""
        for run in draft.runs():
            if run.ended is None and all(job.kind not in ("call", "request") for job in run.jobs.values()):
                self.runs.release(run.id)

    def _take(self, arrival: Arrival, draft: Draft, now: int) -> None:
        match arrival:
            case CommandArrived():
                if arrival.offset < self.next_command:
                    return
                self.next_command = arrival.offset + 1
                draft.applied(arrival.offset, self._commands_topic)
                self._take_command(arrival.command, draft, now)
            case RunFact():
                self._advance(arrival.run_id, arrival.fact, draft, now)
                if arrival.applied is not None:
                    draft.told.append(partial(self._tell, arrival.applied, arrival.run_id))
            case SignalSent():
                draft.told.append(partial(arrival.applied, signals.send(arrival.signal, arrival.data, draft, now)))
            case StateDue():
                self._take_due(arrival, draft, now)
            case FunctionsChanged():
                self._cron.reconcile(draft, now)
                draft.arrivals += self._cancellations.to_apply(draft, now)
            case CancellationScan():
                self._scan(arrival, draft, now)

    def _scan(self, scan: CancellationScan, draft: Draft, now: int) -> None:
        portion = self._cancellations.look(scan, draft, now)
        for run_id in portion.cancelled:
            self._advance(run_id, CancelRequested(reason_of(scan.cancellation)), draft, now)
        if portion.following is not None:
            draft.arrivals.append(portion.following)

    def _tell(self, applied: Callable[[Run | None], None], run_id: RunId) -> None:
        applied(self.runs.load(run_id))

    def _take_command(self, command: Record, draft: Draft, now: int) -> None:
        match command:
            case StartRun():
                self._start(command, draft, now)
            case ClaimSignal():
                signals.claim(command, draft, now)
            case ReleaseSignal():
                signals.release(command, draft, now)
            case CancelRun() | ResumeRun() | InvokedRunEnded() | SignalAnswered():
                self._advance(command.run_id, fact_of(command), draft, now)
            case DeadLetter():
                draft.letters.append(command)
            case _:
                raise UndecodableRecord(f"a {type(command).__name__} is no command")

    def _start(self, command: StartRun, draft: Draft, now: int) -> None:
        if command.dedupe_key is not None:
            earlier = draft.deduplicated(command.function, command.dedupe_key, now)
            if earlier is not None and earlier != command.run_id:
                log.debug("%s: event id %s has started %s", command.function, command.dedupe_key, earlier)
                return
            if earlier is None:
                key = keys.dedupe_key(command.function, command.dedupe_key)
                mark = EventDeduplicated(command.function, command.dedupe_key, command.run_id, now + DAY_MS)
                draft.write(key, mark)
        fact = start_fact(command, self._table)
        self._advance(command.run_id, fact, draft, now)
        run = draft.run(command.run_id)
        cancellation = None if run is None or run.ended else self._cancellations.at_start(run.started, now)
        if cancellation is not None:
            self._advance(command.run_id, CancelRequested(reason_of(cancellation)), draft, now)

    def _advance(self, run_id: RunId, fact: Fact, draft: Draft, now: int) -> None:
        before = draft.run(run_id)
        result = advance(before, fact, now, self._rules)
        if result.entries and result.run is not None:
            draft.change_run(before, result.run, result.entries)
        draft.messages += result.messages
        draft.effects += result.effects

    def _take_due(self, due: StateDue, draft: Draft, now: int) -> None:
        """The index may be behind the truth: what it points to decides, and a stale pointer is removed."""
        if due.key in draft.records:
            return
        record = self.runs.record(due.key)
        if record is None or timers.due_of(record) != due.due_at:
            draft.remove_timer(due.due_at, due.key)
            return
        match record:
            case JobScheduled():
                self._advance(record.run_id, JobDue(record.job_id), draft, now)
            case CronScheduled():
                self._cron.fire(record, draft, now)
            case EventDeduplicated() | SignalClaimed() | CancellationApplied():
                draft.remove(due.key)
                draft.remove_timer(due.due_at, due.key)
            case RunEnded():
                for key in self.runs.keys_of(record.run_id):
                    draft.remove(key)
                draft.remove_timer(due.due_at, due.key)
            case _:
                draft.remove_timer(due.due_at, due.key)


def start_fact(command: StartRun, table: FunctionTable) -> StartRequested:
    """The start of a run, with what its function says now."""
    function = table.function(command.function)
    if function is None:
        return StartRequested(command, None)
    cancels = cancel_rules(function.config.raw)
    return StartRequested(command, function.version, function.config.retries + 1, cancels)


def _named(arrival: Arrival) -> str:
    """Which arrival it is. What else is in it was sent by users, and is not for logs."""
    match arrival:
        case CommandArrived():
            return f"{type(arrival.command).__name__} at offset {arrival.offset}"
        case RunFact():
            return f"{type(arrival.fact).__name__} of run {arrival.run_id}"
        case _:
            return type(arrival).__name__
