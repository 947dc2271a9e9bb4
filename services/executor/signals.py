"""The owner of a signal: decides who waits for it. State lies with the partition that the signal's name decides.

A signal has at most one waiting run. Whoever sends it is told that run, or that nobody waits.
"""

from __future__ import annotations

from ..messages import keys
from ..messages.ids import RunId
from ..messages.records import ClaimSignal, ReleaseSignal, SignalAnswered, SignalClaimed
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


def send(signal: str, data: str, draft: Draft, now: int) -> RunId | None:
    """Hand the signal to the run that waits for it; None when nobody does. `data` is JSON text."""
    holder = holder_of(signal, draft, now)
    if holder is None:
        return None
    draft.send(SignalAnswered(signal, holder.run_id, holder.job_id, "sent", data))
    _forget(holder, draft)
    return holder.run_id


def holder_of(signal: str, draft: Draft, now: int) -> SignalClaimed | None:
    """Who waits for the signal, as it will be after this commit."""
    found = draft.record(keys.signal_key(signal))
    return found if isinstance(found, SignalClaimed) and found.expires_at > now else None


def _forget(holder: SignalClaimed, draft: Draft) -> None:
    key = keys.signal_key(holder.signal)
    draft.remove(key)
    draft.remove_timer(holder.expires_at, key)
