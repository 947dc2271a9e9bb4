"""Waiting for an event: what to look for, since when, and what ends the wait.

The event or the timeout: whichever the run's owner takes first decides, the other finds the job gone.
"""

from __future__ import annotations

import orjson

from ..errors import InvalidExpression
from ..expressions.split import Split, split
from ..messages.ids import JobId
from ..messages.keys import wait_key
from ..messages.records import JobScheduled, ResumeRun, Wait
from .completion import settle
from .deadlines import BadDeadline, deadline
from .details import detail
from .errors import cancelled_by_event, error_text
from .replies import Op
from .turn import Turn

EVERYTHING = Split(path="", value="", condition="", bound="{}")
MAX_EVENT_NAME = 512


def wait_for_event(turn: Turn, op: Op, mode: str) -> bool:
    """Register the wait; True when it is over already, with null for its result."""
    job_id = JobId(f"wait/{op.id}")
    if op.id in turn.run.steps or job_id in turn.run.jobs:
        return False
    event, condition = op.opts.get("event") or op.target, op.opts.get("if")
    if not isinstance(event, str) or not 0 < len(event) <= MAX_EVENT_NAME or not isinstance(condition, str | None):
        turn.end("Failed", error_text("InvalidWait", f"the wait {op.name!r} names no event, or its `if` is no text"))
        return False
    timeout = op.opts.get("timeout") or ""
    try:
        until = deadline(op.name, timeout, turn.now) if timeout else turn.now
        found = split(condition, orjson.loads(turn.run.started.events[0])) if condition else EVERYTHING
    except BadDeadline as error:
        turn.end("Failed", error.error)
        return False
    except InvalidExpression as error:
        message = f"the condition of the wait {op.name!r} does not compile: {error}"
        turn.end("Failed", error_text("InvalidExpression", message))
        return False
    since = _since(turn)
    told = detail(event=event, **{"if": condition or None}, since=since, until=until)
    if until <= turn.now:
        return turn.finish_step(op.id, op.op, op.name, "null", started_at=turn.now, detail=told)
    key = "" if found is None else _register(turn, job_id, event, found, since, until)
    turn.schedule(job_id, "wait", op.id, until, name=op.name, mode=mode, detail=told, wait_key=key)
    return False


def met(turn: Turn, command: ResumeRun) -> None:
    """An event met the wait."""
    job = turn.run.jobs.get(command.job_id)
    if job is None:
        return
    if job.kind == "cancel":
        turn.end("Cancelled", cancelled_by_event(job.name, command.event_id))
    elif job.kind == "wait":
        settle(turn, job, "WaitForEvent", command.event, source=command.event_id)


def timed_out(turn: Turn, job: JobScheduled) -> None:
    """No event came in time."""
    settle(turn, job, "WaitForEvent", "null")


def _register(turn: Turn, job_id: JobId, event: str, found: Split, since: int, until: int) -> str:
    """Ask for the event; the key under which the wait lies. A condition that can never hold asks for none."""
    wait = Wait(
        run_id=turn.run.id,
        job_id=job_id,
        event=event,
        path=found.path,
        value=found.value,
        condition=found.condition,
        bound=found.bound,
        since=since,
        until=until,
        registered_at=turn.now,
        excluded=_excluded(turn, since),
    )
    turn.messages.append(wait)
    return wait_key(wait)


def _since(turn: Turn) -> int:
    """From when on events count: by default since the last step began, so that what it caused is not missed."""
    if turn.rules.lookback is not None:
        return turn.now - turn.rules.lookback
    last = turn.run.last_step
    return turn.run.started.received_at if last is None else last.started_at


def _excluded(turn: Turn, since: int) -> tuple[str, ...]:
    """Events that the run has had: its triggers, and those that ended a wait of it within the time looked back on."""
    had = [s.source for s in turn.run.steps.values() if s.op == "WaitForEvent" and s.source and s.ended_at >= since]
    return (*turn.run.started.event_ids, *had)
