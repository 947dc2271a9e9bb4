"""What must be done after a run's entries are committed, as values. The shell performs them, in any order."""

from __future__ import annotations

from dataclasses import dataclass

from ..messages.ids import JobId, RunId


@dataclass(frozen=True, slots=True)
class CallFunction:
    """Call the app for this job, with the run's memory as it is when the call is sent."""

    run_id: RunId
    job_id: JobId


@dataclass(frozen=True, slots=True)
class ScheduleWake:
    """Tell the run `JobDue` at `due_at` (ms since 1970), also after a restart."""

    run_id: RunId
    job_id: JobId
    due_at: int


Effect = CallFunction | ScheduleWake
