"""Steps got their results: what the run does next."""

from __future__ import annotations

from collections.abc import Sequence

from ..messages.ids import StepId
from ..messages.records import JobScheduled
from .turn import Turn

Completion = tuple[StepId, str]
"""A step that has its result now, and the parallel mode it ran in."""

MIN_COALESCING_VERSION = 2


def complete(turn: Turn, completions: Sequence[Completion]) -> None:
    """Ask the function what comes next, as soon as the steps' parallel mode allows."""
    run = turn.run
    if run.ended is not None or not completions:
        return
    coalescing = run.request_version >= MIN_COALESCING_VERSION
    waited_for = run.pending
    left = waited_for - {step for step, _ in completions}
    turn.progress(pending=left)
    for step, mode in reversed(completions):
        if not coalescing or mode == "race" or step not in waited_for or not left:
            turn.discover(step)
            return
    if not turn.run.work:
        # The code has changed its mind about a step that it asked for: what is waited for will not come.
        turn.progress(pending=frozenset())
        turn.discover(completions[-1][0])


def settle(
    turn: Turn, job: JobScheduled, op: str, output: str, *, failed: bool = False, source: str = "", detail: str = ""
) -> None:
    """The job has given its step a result: the job is done, and the function is asked what comes next."""
    turn.remove(job.job_id)
    fresh = turn.finish_step(
        job.step_id,
        op,
        job.name,
        output,
        started_at=job.scheduled_at,
        failed=failed,
        attempt=job.attempt,
        detail=detail or job.detail,
        source=source,
    )
    if fresh:
        complete(turn, [(job.step_id, job.mode)])
    elif not turn.run.work:
        # The step got another result meanwhile, and what that caused is done: nobody else asks what comes next.
        turn.discover(job.job_id)
