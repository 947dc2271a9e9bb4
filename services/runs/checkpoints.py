"""Steps that an app reports while its call goes on, so that a function of many steps needs one call."""

from __future__ import annotations

from .completion import Completion
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
    completed: list[Completion] = []
    for op in ops:
        last = turn.run.last_step
        began = job.due_at if last is None else max(job.due_at, last.ended_at)
        output = f'{{"data":{op.data or "null"}}}' if op.op == "StepRun" else op.data or "null"
        by = detail(checkpoint=mark(job.job_id, job.attempt))
        turn.finish_step(op.id, op.op, op.name, output, started_at=began, attempt=job.attempt, detail=by)
        completed.append((op.id, job.mode))
    turn.progress(pending=turn.run.pending - {step for step, _ in completed})
    if turn.run.state_bytes > turn.rules.max_state:
        turn.end("Failed", state_too_large(turn.rules.max_state))


def mark(job_id: str, attempt: int) -> str:
    """Says which call reported a step."""
    return f"{job_id}#{attempt}"


def made_progress(turn: Turn, job_id: str, attempt: int) -> bool:
    """Whether this call has reported results: its attempts then count from the beginning again."""
    by = detail(checkpoint=mark(job_id, attempt))
    return any(step.detail == by for step in turn.run.steps.values())
