"""What may happen to a run. Facts may arrive twice, late, or for a run that has ended: `advance` ignores those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..messages.ids import FunctionKey, JobId
from ..messages.records import InvokedRunEnded, ResumeRun, SignalAnswered, StartRun
from .cancels import CancelRule
from .outcomes import Outcome
from .replies import Op, Reply


@dataclass(frozen=True, slots=True)
class StartRequested:
    """A start command reached the run's owner.

    `function_version`, `max_attempts` and `cancels` come from the function as it is registered now; None says that it
    is not registered (any more).
    """

    command: StartRun
    function_version: int | None
    max_attempts: int = 1
    cancels: tuple[CancelRule, ...] = ()


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The app answered the call of this job's attempt, or could not be reached.

    `functions` are those which the reply wants to invoke, by the name that it gives them, as far as they are
    registered now.
    """

    job_id: JobId
    attempt: int
    reply: Reply
    functions: Mapping[str, FunctionKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepsCheckpointed:
    """The app reported steps that it finished within a call, which goes on."""

    job_id: JobId
    attempt: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The HTTP request of this job's attempt was answered, or could not be made."""

    job_id: JobId
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobDue:
    """The time of a job has come: a sleep ends, a call is to be made (again)."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class EventMet:
    """An event met a wait of the run, or one that cancels it."""

    command: ResumeRun


@dataclass(frozen=True, slots=True)
class SignalHeard:
    """The owner of a signal that the run waits for has answered."""

    command: SignalAnswered


@dataclass(frozen=True, slots=True)
class InvocationEnded:
    """A run that this one invoked has ended."""

    command: InvokedRunEnded


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Someone wants the run to end."""

    reason: str


Fact = (
    StartRequested
    | CallAnswered
    | StepsCheckpointed
    | RequestAnswered
    | EventMet
    | SignalHeard
    | InvocationEnded
    | JobDue
    | CancelRequested
)
