"""What an app's answer does to the run that it was asked about.

A call ends in one of three ways: the function returned, it asked for steps (opcodes), or it failed. Discovery calls
find out what comes next; planned calls run one step each. When parallel steps are under way, the next discovery waits
for all of them (mode `wait`) or follows each of them (mode `race`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ..messages.ids import DISCOVERY, JobId, StepId
from ..messages.records import JobScheduled
from .checkpoints import last_reported, reported_by
from .completion import MIN_COALESCING_VERSION, Completion, complete
from .details import detail
from .errors import (
    error_text,
    no_progress,
    state_too_large,
    targeted_step_missing,
    too_many_steps,
    unknown_opcode,
)
from .facts import CallAnswered
from .invocations import invoke
from .replies import Failed, Op, Returned, Stepped, sleep_until
from .retry import retry_delay_ms
from .signals import wait_for_signal
from .turn import Turn
from .waits import wait_for_event

_SILENT = {"None", "DeferAdd", "DeferAbort"}
_LATER = {"StepPlanned", "Sleep", "WaitForEvent", "WaitForSignal", "InvokeFunction", "AIGateway", "Gateway"}
_STEPLESS = {"RunComplete", "SyncRunComplete", "DiscoveryRequest"}
_KNOWN = _SILENT | _LATER | _STEPLESS | {
    "StepRun", "Step", "StepError", "StepFailed", "StepNotFound",
}  # fmt: skip


def take_answer(turn: Turn, fact: CallAnswered) -> None:
    """Apply the answer, unless its job is gone or has moved on to another attempt."""
    job = turn.run.jobs.get(fact.job_id)
    if job is None or job.kind != "call" or job.attempt != fact.attempt:
        return
    reply = fact.reply
    if reply.request_version is not None:
        turn.progress(request_version=reply.request_version)
    match reply:
        case Failed():
            _try_again_or_fail(turn, job, reply.error, no_retry=reply.no_retry, retry_at=reply.retry_at)
        case Returned():
            _returned(turn, job, reply)
        case Stepped():
            _stepped(turn, job, reply, fact)
        case _:
            assert_never(reply)


def _returned(turn: Turn, job: JobScheduled, reply: Returned) -> None:
    # Some SDKs answer 200 `null` to a call for a step that they do not find; taken at its word it would end the run.
    if job.step_id != DISCOVERY:
        _step_missing(turn, job)
    else:
        turn.end("Completed", reply.output)


def _step_missing(turn: Turn, job: JobScheduled) -> None:
    _try_again_or_fail(turn, job, targeted_step_missing(job.step_id), no_retry=False, retry_at=None)


def _misses_its_step(turn: Turn, job: JobScheduled) -> bool:
    """Whether a call for one step has come back and left that step without a result, and without work on it.

    Taken at its word it would leave those who wait for the step waiting for good.
    """
    step = job.step_id
    return step != DISCOVERY and step not in turn.run.steps and not _is_under_way(turn, step, job.job_id)


def _is_under_way(turn: Turn, step: StepId, but: JobId | None = None) -> bool:
    return any(job.step_id == step and job.job_id != but for job in turn.run.jobs.values())


def _try_again_or_fail(turn: Turn, job: JobScheduled, error: str, *, no_retry: bool, retry_at: int | None) -> None:
    """The call failed as a whole: nothing of it reaches user code. After the last attempt the run fails."""
    if job.step_id in turn.run.steps:
        _overtaken(turn, job)
    elif not _try_again(turn, job, error, no_retry=no_retry, retry_at=retry_at):
        turn.end("Failed", error)


def _try_again(turn: Turn, job: JobScheduled, error: str, *, no_retry: bool, retry_at: int | None) -> bool:
    """Schedule the job's next attempt; False when it has none.

    A call that made progress by checkpoints has all its retries anew. It goes on under an id of its own, or attempts
    that bear the same number could be taken for one another.
    """
    progress = last_reported(turn, job)
    attempt = job.attempt + 1 if progress is None else 1
    if no_retry or attempt >= turn.run.started.max_attempts:
        return False
    if retry_at is None:
        seed = f"{turn.run.id}/{job.job_id}/{job.attempt}"
        retry_at = turn.now + retry_delay_ms(job.attempt, seed, turn.rules.linear_retry_seconds)
    if progress is not None:
        turn.remove(job.job_id)
    turn.schedule(
        job.job_id if progress is None else JobId(f"again/{progress}"),
        "call",
        job.step_id,
        retry_at,
        name=job.name,
        attempt=attempt,
        mode=job.mode,
        last_error=error,
    )
    return True


def _overtaken(turn: Turn, job: JobScheduled) -> None:
    """The step that the call is for has its result, by a checkpoint or otherwise: there is nothing to retry."""
    turn.remove(job.job_id)
    if job.step_id in turn.run.pending or reported_by(turn, job, job.step_id):
        complete(turn, [(job.step_id, job.mode)])
    elif not turn.run.work:
        turn.discover(job.job_id)


def _stepped(turn: Turn, job: JobScheduled, reply: Stepped, fact: CallAnswered) -> None:
    ops = [op for op in reply.ops if op.op not in _SILENT]
    unknown = next((op for op in ops if op.op not in _KNOWN), None)
    if unknown is not None:
        turn.end("Failed", unknown_opcode(unknown.op))
    elif not ops:
        _asked_for_nothing(turn, job)
    elif _exceeds_steps(turn, ops):
        turn.end("Failed", too_many_steps(turn.rules.max_steps))
    else:
        _take_ops(turn, job, _waits_first(ops), reply, fact)


def _waits_first(ops: Sequence[Op]) -> list[Op]:
    """A wait is registered before anything else of the same answer."""
    return sorted(ops, key=lambda op: op.op != "WaitForEvent")


def _exceeds_steps(turn: Turn, ops: Sequence[Op]) -> bool:
    run, limit = turn.run, turn.rules.max_steps
    if run.step_count + len(ops) <= limit:
        return False
    known = {*run.steps, *(job.step_id for job in run.jobs.values())} - {DISCOVERY}
    return len(known | {op.id for op in ops if op.op not in _STEPLESS}) > limit


def _asked_for_nothing(turn: Turn, job: JobScheduled) -> None:
    """Normal while other steps are under way; otherwise asked again, for as many attempts as a failure."""
    if _misses_its_step(turn, job):
        _step_missing(turn, job)
    elif turn.run.work > 1:
        turn.remove(job.job_id)
    else:
        _no_progress(turn, job, retry_at=None)


def _no_progress(turn: Turn, job: JobScheduled, retry_at: int | None) -> None:
    """The answer brings the run no further, and nothing else is under way; what the call reported before may have."""
    progress = last_reported(turn, job)
    if progress is None:
        _try_again_or_fail(turn, job, no_progress(), no_retry=False, retry_at=retry_at)
    else:
        turn.remove(job.job_id)
        turn.discover(progress)


def _take_ops(turn: Turn, job: JobScheduled, ops: Sequence[Op], reply: Stepped, fact: CallAnswered) -> None:
    _expect_siblings(turn, job, ops)
    completions: list[Completion] = []
    retried = False
    for op in ops:
        if op.op in ("StepError", "StepNotFound") and _retry_step(turn, job, op, reply):
            retried = True
        else:
            completions += _take_op(turn, job, op, fact)
        if turn.run.ended is not None:
            return
    if turn.run.state_bytes > turn.rules.max_state:
        turn.end("Failed", state_too_large(turn.rules.max_state))
        return
    if not retried and not completions and turn.run.work == 1 and job.job_id in turn.run.jobs:
        # Everything it named was done already and nothing is under way.
        _no_progress(turn, job, retry_at=turn.now)
        return
    if not retried and _misses_its_step(turn, job):
        _step_missing(turn, job)
    elif not retried:
        turn.remove(job.job_id)
    if not (retried and job.step_id == DISCOVERY):
        complete(turn, completions)
    elif completions:
        # The retry of this very discovery will see them; it also stands for the one they would cause.
        turn.progress(pending=turn.run.pending - {step for step, _ in completions})


def _expect_siblings(turn: Turn, job: JobScheduled, ops: Sequence[Op]) -> None:
    """Steps asked for together are waited for together; those in a race hold nobody back."""
    if len(ops) < 2:
        return
    turn.progress(disable_immediate_execution=True)
    if turn.run.request_version >= MIN_COALESCING_VERSION and any(op.op in _LATER for op in ops):
        steps = [op for op in ops if op.op not in _STEPLESS and op.id not in turn.run.steps]
        new = {op.id for op in steps if _mode(job, op) != "race"}
        turn.progress(pending=turn.run.pending | new)


def _take_op(turn: Turn, job: JobScheduled, op: Op, fact: CallAnswered) -> list[Completion]:
    """Apply one opcode; the steps that have their result now."""
    mode = _mode(job, op)
    match op.op:
        case "StepRun":
            return _finish(turn, job, op, f'{{"data":{op.data or "null"}}}', mode)
        case "Step":
            return _finish(turn, job, op, op.data or "null", mode)
        case "StepError" | "StepFailed" | "StepNotFound":
            return _finish(turn, job, op, f'{{"error":{_error_of(op)}}}', mode, failed=True)
        case "StepPlanned":
            _plan(turn, op, mode)
        case "Sleep":
            _sleep(turn, op, mode)
        case "WaitForEvent":
            return [(op.id, mode)] if wait_for_event(turn, op, mode) else []
        case "WaitForSignal":
            return [(op.id, mode)] if wait_for_signal(turn, op, mode) else []
        case "InvokeFunction":
            return invoke(turn, op, mode, fact.functions)
        case "AIGateway" | "Gateway":
            _request(turn, op, mode)
        case "RunComplete" | "SyncRunComplete":
            turn.end("Completed", op.data or "null")
        case "DiscoveryRequest":
            turn.discover(f"request/{job.job_id}")
    return []


def _mode(job: JobScheduled, op: Op) -> str:
    """The op's parallel mode, or that of the call which asks for it; the Go SDK writes `Race`."""
    return str(op.opts.get("parallelMode") or job.mode).lower()


def _finish(turn: Turn, job: JobScheduled, op: Op, output: str, mode: str, *, failed: bool = False) -> list[Completion]:
    fresh = turn.finish_step(op.id, op.op, op.name, output, started_at=job.due_at, failed=failed, attempt=job.attempt)
    return [(op.id, mode)] if fresh or reported_by(turn, job, op.id) else []


def _plan(turn: Turn, op: Op, mode: str) -> None:
    if op.id not in turn.run.steps and not _is_under_way(turn, op.id):
        turn.schedule(JobId(f"plan/{op.id}"), "call", op.id, turn.now, name=op.name, mode=mode)


def _sleep(turn: Turn, op: Op, mode: str) -> None:
    job_id = JobId(f"sleep/{op.id}")
    if op.id in turn.run.steps or job_id in turn.run.jobs:
        return
    due_at = sleep_until(op, turn.now)
    if isinstance(due_at, Failed):
        turn.end("Failed", due_at.error)
    else:
        turn.schedule(job_id, "sleep", op.id, due_at, name=op.name, mode=mode, detail=detail(until=due_at))


def _request(turn: Turn, op: Op, mode: str) -> None:
    job_id = JobId(f"request/{op.id}")
    if op.id not in turn.run.steps and job_id not in turn.run.jobs:
        asked = detail(op=op.op, opts=dict(op.opts))
        turn.schedule(job_id, "request", op.id, turn.now, name=op.name, mode=mode, detail=asked)


def _retry_step(turn: Turn, job: JobScheduled, op: Op, reply: Stepped) -> bool:
    """A step failed with attempts left: the same call again. False when this was the last one."""
    if op.id in turn.run.steps:
        return False
    return _try_again(turn, job, _error_of(op), no_retry=reply.no_retry, retry_at=reply.retry_at)


def _error_of(op: Op) -> str:
    return op.error or error_text("Error", "the step failed without saying why")
