"""The answer to an HTTP request that the run asked for: a result, another attempt, or a step that failed."""

from __future__ import annotations

from .completion import settle
from .details import request_of, shown
from .facts import RequestAnswered
from .gateway import Again, request_memo
from .retry import retry_delay_ms
from .turn import Turn


def take_outcome(turn: Turn, fact: RequestAnswered) -> None:
    """Apply the answer, unless its job is gone or has moved on to another attempt."""
    job = turn.run.jobs.get(fact.job_id)
    if job is None or job.kind != "request" or job.attempt != fact.attempt:
        return
    op, opts = request_of(job)
    last = job.attempt + 1 >= turn.run.started.max_attempts
    memo = request_memo(op, opts, fact.outcome, last=last, now=turn.now)
    if isinstance(memo, Again):
        seed = f"{turn.run.id}/{job.job_id}/{job.attempt}"
        at = turn.now + retry_delay_ms(job.attempt, seed, turn.rules.linear_retry_seconds)
        turn.schedule(
            job.job_id,
            "request",
            job.step_id,
            max(at, memo.not_before),
            name=job.name,
            attempt=job.attempt + 1,
            mode=job.mode,
            last_error=memo.error,
            detail=job.detail,
        )
    else:
        settle(turn, job, op, memo.output, failed=memo.failed, detail=shown(job))
