"""What may happen to a run. Facts may arrive twice, late, or for a run that has ended: `advance` ignores those."""

from __future__ import annotations

from dataclasses import dataclass

from ..messages.ids import JobId
from ..messages.records import StartRun
from .replies import Reply


@dataclass(frozen=True, slots=True)
class StartRequested:
    """A start command reached the run's owner.

    `function_version` and `max_attempts` come from the function as it is registered now; None says that it is not
    registered (any more).
    """

    command: StartRun
    function_version: int | None
    max_attempts: int = 1


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The app answered the call of this job's attempt, or could not be reached."""

    job_id: JobId
    attempt: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class JobDue:
    """The time of a job has come: a sleep ends, a call is to be made (again)."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Someone wants the run to end."""

    reason: str


Fact = StartRequested | CallAnswered | JobDue | CancelRequested
