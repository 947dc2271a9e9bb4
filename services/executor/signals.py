"""The owner of a signal: decides who waits for it. State lies with the partition that the signal's name decides.

A signal has at most one waiting run. Whoever sends it is told that run, or that nobody waits.
"""

from __future__ import annotations

from ..messages import keys
from ..messages.ids import JobId, StepId
from ..messages.records import ClaimSignal, ReleaseSignal, SignalAnswered, SignalClaimed
from ..runs.run import Run
from .runstore import Draft


def claim(command: ClaimSignal, draft: Draft, now: int) -> None:
    """A run wants to wait for the signal; another one that does is in the way, or gives way."""
    if command.expires_at <= now:
        return
    holder = holder_of(command.signal, draft, now)
    if holder is not None and (holder.run_id, holder.job_id) != (command.run_id, command.job_id):
        if not command.replace:
            refusal = SignalAnswered(command.signal, command.run_id, command.job_id, "refused", other_run=holder.run_id)
            draft.send(refusal)
            return
        draft.send(SignalAnswered(command.signal, holder.run_id, holder.job_id, "replaced", other_run=command.run_id))
        _forget(holder, draft)
    draft.write(
        keys.signal_key(command.signal),
        SignalClaimed(command.signal, command.run_id, command.job_id, command.expires_at),
    )


def release(command: ReleaseSignal, draft: Draft, now: int) -> None:
    """A run does not wait any longer; nothing happens when it is no longer the one that does."""
    holder = holder_of(command.signal, draft, now)
    if holder is not None and (holder.run_id, holder.job_id) == (command.run_id, command.job_id):
        _forget(holder, draft)


def send(signal: str, data: str, draft: Draft, now: int) -> SignalClaimed | None:
    """Hand the signal to the run that waits for it: the claim; None when nobody waits. `data` is JSON text.

    Handed over is not taken: the wait may have timed out, and the release of the claim be under way. The run's owner
    knows (`was_taken`).
    """
    holder = holder_of(signal, draft, now)
    if holder is None:
        return None
    draft.send(SignalAnswered(signal, holder.run_id, holder.job_id, "sent", data))
    _forget(holder, draft)
    return holder


def was_taken(run: Run, job_id: JobId) -> bool | None:
    """Whether a signal that was handed to this wait of the run has ended it; None while that is not decided."""
    if job_id in run.jobs:
        return None
    result = run.steps.get(StepId(job_id.removeprefix("signal/")))
    return result is not None and result.output != "null"


def holder_of(signal: str, draft: Draft, now: int) -> SignalClaimed | None:
    """Who waits for the signal, as it will be after this commit."""
    found = draft.record(keys.signal_key(signal))
    return found if isinstance(found, SignalClaimed) and found.expires_at > now else None


def _forget(holder: SignalClaimed, draft: Draft) -> None:
    key = keys.signal_key(holder.signal)
    draft.remove(key)
    draft.remove_timer(holder.expires_at, key)
