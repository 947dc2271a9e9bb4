"""Steps that an app reports while its call goes on, so that a function of many steps needs one call."""

from __future__ import annotations

from ..messages.ids import StepId
from ..messages.records import JobScheduled
from .details import detail
from .errors import state_too_large, too_many_steps
from .facts import StepsCheckpointed
from .turn import Turn

#: What a checkpoint may carry: results, and hints about what the app is about to do.
RESULTS = frozenset(("StepRun", "Step"))
HINTS = frozenset(("StepPlanned", "None", "DeferAdd", "DeferAbort"))


def take_checkpoint(turn: Turn, fact: StepsCheckpointed) -> None:
    """Remember the results; the call that reports them goes on, so nothing is asked for."""
    job = turn.run.jobs.get(fact.job_id)
    if job is None or job.kind != "call" or job.attempt != fact.attempt:
        return
    ops = [op for op in fact.ops if op.op in RESULTS]
    if turn.run.step_count + len({op.id for op in ops} - turn.run.steps.keys()) > turn.rules.max_steps:
        turn.end("Failed", too_many_steps(turn.rules.max_steps))
        return
    for op in ops:
        last = turn.run.last_step
        began = job.due_at if last is None else max(job.due_at, last.ended_at)
        output = f'{{"data":{op.data or "null"}}}' if op.op == "StepRun" else op.data or "null"
        turn.finish_step(op.id, op.op, op.name, output, started_at=began, attempt=job.attempt, detail=_mark(job))
    # That the step which the call is for is done, the call's own answer says.
    turn.progress(pending=turn.run.pending - {op.id for op in ops if op.id != job.step_id})
    if turn.run.state_bytes > turn.rules.max_state:
        turn.end("Failed", state_too_large(turn.rules.max_state))


def reported_by(turn: Turn, job: JobScheduled, step: StepId) -> bool:
    """Whether this call has reported the step's result while it went on."""
    finished = turn.run.steps.get(step)
    return finished is not None and finished.detail == _mark(job)


def last_reported(turn: Turn, job: JobScheduled) -> StepId | None:
    """The step that this call reported last; None when it made no progress."""
    mark = _mark(job)
    return next((step.step_id for step in reversed(turn.run.steps.values()) if step.detail == mark), None)


def _mark(job: JobScheduled) -> str:
    """Says which call reported a step."""
    return detail(checkpoint=f"{job.job_id}#{job.attempt}")
