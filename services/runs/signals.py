"""Waiting for a signal. Who waits for a signal is decided by the signal's owner; here is the waiting run's side."""

from __future__ import annotations

from typing import assert_never

import orjson

from ..messages.ids import JobId
from ..messages.records import ClaimSignal, JobScheduled, SignalAnswered
from .completion import settle
from .deadlines import YEAR_MS, BadDeadline, deadline
from .details import detail
from .errors import error_text, signal_taken
from .replies import Op
from .turn import Turn

MAX_SIGNAL = 512


def wait_for_signal(turn: Turn, op: Op, mode: str) -> bool:
    """Claim the signal; True when the wait is over already, with null for its result."""
    job_id = JobId(f"signal/{op.id}")
    if op.id in turn.run.steps or job_id in turn.run.jobs:
        return False
    signal, conflict = op.opts.get("signal") or op.target, op.opts.get("conflict") or op.opts.get("on_conflict")
    if not isinstance(signal, str) or not 0 < len(signal) <= MAX_SIGNAL or conflict not in (None, "fail", "replace"):
        message = f"the wait {op.name!r} names no signal of up to {MAX_SIGNAL} characters, or an unknown conflict rule"
        turn.end("Failed", error_text("InvalidSignal", message))
        return False
    timeout = op.opts.get("timeout")
    try:
        until = deadline(op.name, timeout, turn.now) if timeout else turn.now + YEAR_MS
    except BadDeadline as error:
        turn.end("Failed", error.error)
        return False
    told = detail(signal=signal, conflict=conflict or "fail", until=until)
    if until <= turn.now:
        return turn.finish_step(op.id, op.op, op.name, "null", started_at=turn.now, detail=told)
    turn.schedule(job_id, "signal", op.id, until, name=op.name, mode=mode, detail=told)
    turn.messages.append(ClaimSignal(signal, turn.run.id, job_id, conflict == "replace", until))
    return False


def heard(turn: Turn, command: SignalAnswered) -> None:
    """The signal came, or the run may not (any longer) wait for it."""
    job = turn.run.jobs.get(command.job_id)
    if job is None or job.kind != "signal":
        return
    match command.answer:
        case "sent":
            value = orjson.dumps({"data": {"signal": command.signal, "data": orjson.Fragment(command.data)}})
            settle(turn, job, "WaitForSignal", value.decode())
        case "refused":
            turn.end("Failed", signal_taken(command.signal, command.other_run))
        case "replaced":
            settle(turn, job, "WaitForSignal", "null")
        case "unknown":
            return
        case _:
            assert_never(command.answer)


def timed_out(turn: Turn, job: JobScheduled) -> None:
    """Nobody sent the signal in time."""
    settle(turn, job, "WaitForSignal", "null")
