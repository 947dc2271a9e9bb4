"""How a run advances: one fact in, entries and effects out.

`advance` is total: facts that come twice, too late, or for a job that is gone give no entries. What a stranger's
answer does is in `answers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from ..messages.records import RunStarted
from . import invocations, signals, waits
from .answers import take_answer
from .cancels import register_cancels
from .checkpoints import take_checkpoint
from .completion import settle
from .effects import CallFunction, Effect, Message, SendRequest
from .errors import function_not_registered, run_cancelled
from .facts import (
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
from .outbound import take_outcome
from .rerun import remember
from .run import Entry, Run
from .turn import Rules, Turn


@dataclass(frozen=True, slots=True)
class Advance:
    """The run after the fact, the entries and messages to commit, and the effects to perform once they are."""

    run: Run | None
    entries: tuple[Entry, ...] = ()
    effects: tuple[Effect, ...] = ()
    messages: tuple[Message, ...] = ()


def advance(run: Run | None, fact: Fact, now: int, rules: Rules) -> Advance:
    """Take one fact. `run` is None when its owner knows none by that id; `now` is in ms since 1970."""
    if isinstance(fact, StartRequested):
        return _start(run, fact, now, rules)
    if run is None or run.ended is not None:
        return Advance(run)
    turn = Turn(run, now, rules)
    match fact:
        case CallAnswered():
            take_answer(turn, fact)
        case JobDue():
            _job_due(turn, fact)
        case StepsCheckpointed():
            take_checkpoint(turn, fact)
        case RequestAnswered():
            take_outcome(turn, fact)
        case EventMet():
            waits.met(turn, fact.command)
        case SignalHeard():
            signals.heard(turn, fact.command)
        case InvocationEnded():
            invocations.ended(turn, fact.command)
        case CancelRequested():
            turn.end("Cancelled", run_cancelled(fact.reason))
        case _:
            assert_never(fact)
    return _result(turn)


def _result(turn: Turn) -> Advance:
    return Advance(turn.run, tuple(turn.entries), tuple(turn.effects), tuple(turn.messages))


def _start(run: Run | None, fact: StartRequested, now: int, rules: Rules) -> Advance:
    if run is not None:
        return Advance(run)
    command = fact.command
    started = RunStarted(
        run_id=command.run_id,
        function=command.function,
        function_version=fact.function_version or 0,
        events=command.events,
        event_ids=command.event_ids,
        max_attempts=fact.max_attempts,
        received_at=command.received_at,
        started_at=now,
        parent_run=command.parent_run,
        parent_job=command.parent_job,
        correlation_id=command.correlation_id,
        cron=command.cron,
        rerun_of=command.rerun_of,
        replay=command.replay,
    )
    turn = Turn(Run(started), now, rules)
    turn.entries.append(started)
    if fact.function_version is None:
        turn.end("Failed", function_not_registered(command.function))
    else:
        register_cancels(turn, fact.cancels)
        remember(turn, command.memory)
        turn.discover("start", command.start_at)
    return _result(turn)


def _job_due(turn: Turn, fact: JobDue) -> None:
    job = turn.run.jobs.get(fact.job_id)
    # A clock behind that of the owner who scheduled it must not let a call wait that was due then already.
    if job is None or job.due_at > max(turn.now, job.scheduled_at):
        return
    match job.kind:
        case "call":
            turn.effects.append(CallFunction(turn.run.id, job.job_id))
        case "request":
            turn.effects.append(SendRequest(turn.run.id, job.job_id))
        case "sleep":
            settle(turn, job, "Sleep", "null")
        case "wait":
            waits.timed_out(turn, job)
        case "signal":
            signals.timed_out(turn, job)
        case "invoke":
            invocations.timed_out(turn, job)
        case "cancel" | "unknown":
            turn.remove(job.job_id)
        case _:
            assert_never(job.kind)
