"""Invoking another function: its run is started here, and its end comes straight back to this run's owner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from ..functions.triggering import event_json
from ..messages.ids import EventId, FunctionKey, JobId, function_uuid, run_id, ulid
from ..messages.records import Event, InvokedRunEnded, JobScheduled, StartRun
from .completion import Completion, settle
from .deadlines import YEAR_MS, BadDeadline, deadline
from .details import detail, invoked_run_of
from .errors import error_text, function_not_found, invocation_timed_out, invoked_run_cancelled
from .replies import Op
from .turn import Turn

INVOKED = "inngest/function.invoked"


def invoke(turn: Turn, op: Op, mode: str, functions: Mapping[str, FunctionKey]) -> list[Completion]:
    """Start the other function's run; the step's completion when that cannot be."""
    job_id = JobId(f"invoke/{op.id}")
    if op.id in turn.run.steps or job_id in turn.run.jobs:
        return []
    named, timeout = op.opts.get("function_id"), op.opts.get("timeout")
    target = functions.get(named) if isinstance(named, str) else None
    if target is None:
        error = f'{{"error":{function_not_found(str(named))}}}'
        fresh = turn.finish_step(op.id, op.op, op.name, error, started_at=turn.now, failed=True)
        return [(op.id, mode)] if fresh else []
    try:
        until = deadline(op.name, timeout, turn.now) if timeout else turn.now + YEAR_MS
    except BadDeadline as error:
        turn.end("Failed", error.error)
        return []
    _start(turn, op, mode, job_id, target, until)
    return []


def _start(turn: Turn, op: Op, mode: str, job_id: JobId, target: FunctionKey, until: int) -> None:
    correlation = f"{turn.run.id}.{op.id}"
    child = run_id(target, correlation, turn.now)
    told = detail(function=target, run_id=child, correlation_id=correlation, until=until)
    turn.schedule(job_id, "invoke", op.id, until, name=op.name, mode=mode, detail=told)
    event = _event(turn, op, target, correlation, until)
    start = StartRun(
        run_id=child,
        function=target,
        events=(event_json(event),),
        event_ids=(event.internal_id,),
        received_at=turn.now,
        parent_run=turn.run.id,
        parent_job=job_id,
        correlation_id=correlation,
    )
    turn.messages += [event, start]


def _event(turn: Turn, op: Op, target: FunctionKey, correlation: str, until: int) -> Event:
    payload = op.opts.get("payload")
    given = payload if isinstance(payload, dict) else {}
    data, user, version = given.get("data"), given.get("user"), given.get("v")
    source = turn.run.started.function
    about = {
        "fn_id": str(function_uuid(target)),
        "correlation_id": correlation,
        "source_app_id": source.partition("/")[0],
        "source_fn_id": str(function_uuid(source)),
        "source_fn_v": turn.run.started.function_version,
        "expire": until,
        "gid": op.id,
        "name": op.name,
    }
    internal_id = EventId(ulid(turn.now, hashlib.blake2b(correlation.encode(), digest_size=10).digest()))
    return Event(
        name=INVOKED,
        data=orjson.dumps({**(data if isinstance(data, dict) else {}), "_inngest": about}).decode(),
        id=internal_id,
        ts=turn.now,
        user=orjson.dumps(user if isinstance(user, dict) else {}).decode(),
        v=version if isinstance(version, str) else None,
        internal_id=internal_id,
        received_at=turn.now,
        source="invoke",
    )


def ended(turn: Turn, command: InvokedRunEnded) -> None:
    """The invoked run has ended: its result is the step's."""
    job = turn.run.jobs.get(command.job_id)
    if job is None or job.kind != "invoke" or invoked_run_of(job) != command.invoked_run:
        return
    match command.status:
        case "Completed":
            settle(turn, job, "InvokeFunction", f'{{"data":{command.output}}}', source=command.invoked_run)
        case "Failed":
            error = _error_object(command.output)
            settle(turn, job, "InvokeFunction", f'{{"error":{error}}}', failed=True, source=command.invoked_run)
        case _:
            error = invoked_run_cancelled(command.invoked_run, command.status)
            settle(turn, job, "InvokeFunction", f'{{"error":{error}}}', failed=True, source=command.invoked_run)


def timed_out(turn: Turn, job: JobScheduled) -> None:
    """The invoked run takes too long; it goes on, but its result will not be used."""
    output = f'{{"error":{invocation_timed_out()}}}'
    settle(turn, job, "InvokeFunction", output, failed=True, source=invoked_run_of(job))


def _error_object(output: str) -> str:
    value = orjson.loads(output)
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return output
    return error_text("Error", output[:2000])
