"""What a run does beyond its own entries, as values.

A *message* goes out in the transaction that commits the run's entries, or not at all. An *effect* is performed once
they are committed, and again by the next owner when it was not done.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..messages.ids import JobId, RunId
from ..messages.records import ClaimSignal, Event, InvokedRunEnded, ReleaseSignal, StartRun, Wait
from .run import Run


@dataclass(frozen=True, slots=True)
class CallFunction:
    """Call the app for this job, with the run's memory as it is when the call is sent."""

    run_id: RunId
    job_id: JobId


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Make the HTTP request that this job describes."""

    run_id: RunId
    job_id: JobId


@dataclass(frozen=True, slots=True)
class ScheduleWake:
    """Tell the run `JobDue` at `due_at` (ms since 1970), also after a restart."""

    run_id: RunId
    job_id: JobId
    due_at: int


Effect = CallFunction | SendRequest | ScheduleWake


@dataclass(frozen=True, slots=True)
class WaitOver:
    """A tombstone for a wait: nobody is to look for its event any more."""

    wait_key: str


@dataclass(frozen=True, slots=True)
class EndAnnounced:
    """The run has ended; whoever is triggered by that, or waits for it, is to know."""

    run: Run


Message = Wait | WaitOver | StartRun | InvokedRunEnded | ClaimSignal | ReleaseSignal | Event | EndAnnounced
