"""How a run advances: one fact in, entries and effects out.

`advance` is total: facts that come twice, too late, or for a job that is gone give no entries. What a stranger's
answer does is in `answers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from ..messages.records import JobScheduled, RunStarted
from .answers import complete, take_answer
from .effects import CallFunction, Effect
from .errors import function_not_registered, run_cancelled
from .facts import CallAnswered, CancelRequested, Fact, JobDue, StartRequested
from .run import Entry, Run
from .turn import Rules, Turn


@dataclass(frozen=True, slots=True)
class Advance:
    """The run after the fact, the entries to commit, and the effects to perform once they are committed."""

    run: Run | None
    entries: tuple[Entry, ...] = ()
    effects: tuple[Effect, ...] = ()


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
        case CancelRequested():
            turn.end("Cancelled", run_cancelled(fact.reason))
        case _:
            assert_never(fact)
    return Advance(turn.run, tuple(turn.entries), tuple(turn.effects))


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
    )
    turn = Turn(Run(started), now, rules)
    turn.entries.append(started)
    if fact.function_version is None:
        turn.end("Failed", function_not_registered(command.function))
    else:
        turn.discover("start", command.start_at)
    return Advance(turn.run, tuple(turn.entries), tuple(turn.effects))


def _job_due(turn: Turn, fact: JobDue) -> None:
    job = turn.run.jobs.get(fact.job_id)
    if job is None or job.due_at > turn.now:
        return
    match job.kind:
        case "call":
            turn.effects.append(CallFunction(turn.run.id, job.job_id))
        case "sleep":
            _wake(turn, job)
        case _:
            assert_never(job.kind)


def _wake(turn: Turn, job: JobScheduled) -> None:
    turn.remove(job.job_id)
    if turn.finish_step(job.step_id, "Sleep", job.name, "null", started_at=job.scheduled_at):
        complete(turn, [(job.step_id, job.mode)])
    elif not turn.run.jobs:
        # The step got another result meanwhile, and what that caused is done: nobody else asks what comes next.
        turn.discover(job.job_id)
