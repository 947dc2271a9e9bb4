"""One frozen dataclass per record on the topics; the `.avsc` files are the truth, a test holds both equal.

Facts (stored) are in the past tense, commands (asked for) in the imperative. Times are integers, milliseconds since
1970; payloads are JSON *text*, passed on as they came and decoded only where someone looks inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .ids import FunctionKey, JobId, ReplayId, RunId, StepId

# `unknown` stands for what a later release may add: readers of this one see it instead of failing.
JobKind = Literal["call", "sleep", "wait", "signal", "invoke", "request", "cancel", "unknown"]
RunStatus = Literal["Completed", "Failed", "Cancelled", "Skipped", "Unknown"]
SignalAnswer = Literal["sent", "refused", "replaced", "unknown"]
ReplayWanted = Literal["run", "pause", "cancel", "unknown"]
ReplayStatus = Literal["Running", "Completed", "Failed", "Unknown"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it lies on the events topic; see `schemas/avro/event.avsc`."""

    name: str
    data: str = "{}"
    id: str = ""
    ts: int = 0
    user: str = "{}"
    v: str | None = None
    internal_id: str = ""
    received_at: int = 0
    source: str = "kafka"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of an app as it was last registered."""

    key: FunctionKey
    app: str
    slug: str
    name: str
    version: int
    config: str
    registered_at: int
    archived: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """One app as it was last synced."""

    name: str
    url: str
    checksum: str
    synced_at: int
    sdk: str = ""
    framework: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StartRun:
    """Command: start this run."""

    run_id: RunId
    function: FunctionKey
    events: tuple[str, ...]
    event_ids: tuple[str, ...]
    received_at: int
    dedupe_key: str | None = None
    start_at: int = 0
    registry_offset: int = -1
    parent_run: str = ""
    parent_job: str = ""
    correlation_id: str = ""
    cron: str = ""
    rerun_of: str = ""
    replay: str = ""
    memory: str = ""


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Command: cancel this run."""

    run_id: RunId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Command: an event met a wait of this run (or one that cancels it)."""

    run_id: RunId
    job_id: JobId
    event_id: str
    event: str
    received_at: int


@dataclass(frozen=True, slots=True)
class InvokedRunEnded:
    """Command to the run that invoked another: that one has ended."""

    run_id: RunId
    job_id: JobId
    invoked_run: RunId
    status: RunStatus
    output: str


@dataclass(frozen=True, slots=True)
class ClaimSignal:
    """Command to a signal's owner: this run waits for it."""

    signal: str
    run_id: RunId
    job_id: JobId
    replace: bool
    expires_at: int


@dataclass(frozen=True, slots=True)
class ReleaseSignal:
    """Command to a signal's owner: this run waits for it no longer."""

    signal: str
    run_id: RunId
    job_id: JobId


@dataclass(frozen=True, slots=True)
class SignalAnswered:
    """Command from a signal's owner to the run that waits: the signal came, or the wait is refused or replaced."""

    signal: str
    run_id: RunId
    job_id: JobId
    answer: SignalAnswer
    data: str = "null"
    other_run: str = ""


@dataclass(frozen=True, slots=True)
class SignalClaimed:
    """State of a signal's owner: who waits for it."""

    signal: str
    run_id: RunId
    job_id: JobId
    expires_at: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A run waits for an event (or is cancelled by one): what the matcher must look for."""

    run_id: RunId
    job_id: JobId
    event: str
    path: str
    value: str
    condition: str
    bound: str
    since: int
    until: int
    registered_at: int
    excluded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitShape:
    """Waits exist for this event name that tell events apart by this path."""

    event: str
    path: str
    since: int
    until: int
    written_at: int


@dataclass(frozen=True, slots=True)
class CorrelatedEvent:
    """An event on its way to the waits that it may meet."""

    event: str
    path: str
    value: str
    internal_id: str
    received_at: int
    payload: str


@dataclass(frozen=True, slots=True)
class CronScheduled:
    """The next firing of a cron trigger."""

    function: FunctionKey
    cron: str
    scheduled_at: int
    due_at: int


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Cancel a function's runs by when they started, and by their event."""

    id: str
    function: FunctionKey
    started_before: int
    created_at: int
    started_after: int = 0
    condition: str = ""


@dataclass(frozen=True, slots=True)
class CancellationApplied:
    """A partition has applied a cancellation to the runs that it held."""

    id: str
    applied_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began."""

    run_id: RunId
    function: FunctionKey
    function_version: int
    events: tuple[str, ...]
    event_ids: tuple[str, ...]
    max_attempts: int
    received_at: int
    started_at: int
    parent_run: str = ""
    parent_job: str = ""
    correlation_id: str = ""
    cron: str = ""
    rerun_of: str = ""
    replay: str = ""


@dataclass(frozen=True, slots=True)
class JobScheduled:
    """Pending work of a run: replaced by its next attempt, removed when done."""

    run_id: RunId
    job_id: JobId
    kind: JobKind
    step_id: StepId
    due_at: int
    scheduled_at: int
    name: str = ""
    attempt: int = 0
    mode: str = "wait"
    last_error: str | None = None
    detail: str = ""
    wait_key: str = ""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step's result, remembered."""

    run_id: RunId
    step_id: StepId
    position: int
    op: str
    name: str
    output: str
    started_at: int
    ended_at: int
    failed: bool = False
    attempt: int = 0
    detail: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class RunProgressed:
    """The small part of a run that changes."""

    run_id: RunId
    request_version: int
    disable_immediate_execution: bool
    pending: tuple[StepId, ...]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run's end, status and output together."""

    run_id: RunId
    status: RunStatus
    output: str
    ended_at: int
    purge_at: int


@dataclass(frozen=True, slots=True)
class EventDeduplicated:
    """A function has started a run for this event id."""

    function: FunctionKey
    event_id: str
    run_id: RunId
    expires_at: int


@dataclass(frozen=True, slots=True)
class OffsetApplied:
    """How far the run-steps partition has been applied to this state."""

    offset: int
    topic_id: str = ""
    """Of a topic that was made anew under the same name, every command is new."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay as it was asked for; see `schemas/avro/replay.avsc`."""

    id: ReplayId
    identity: str
    function: FunctionKey
    created_at: int
    runs_dated: int
    begins: Mapping[str, int]
    ends: Mapping[str, int]
    from_at: int = 0
    to_at: int = 0
    event: str = ""
    condition: str = ""
    ignore_triggers: bool = False
    limit: int = 0
    rate: float = 100.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReplayControl:
    """What people want of a replay: the last word counts."""

    id: ReplayId
    wanted: ReplayWanted
    at: int
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay has come."""

    id: ReplayId
    status: ReplayStatus
    positions: Mapping[str, int]
    updated_at: int
    matched: int = 0
    started: int = 0
    undecodable: int = 0
    by_day: Mapping[str, int] = field(default_factory=dict)
    records_per_second: float = 0.0
    held_back: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, kept with its reason."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    reason: str
    seen_at: int
    headers: Mapping[str, bytes] = field(default_factory=dict)


Record = (
    Event
    | Function
    | App
    | StartRun
    | CancelRun
    | ResumeRun
    | InvokedRunEnded
    | ClaimSignal
    | ReleaseSignal
    | SignalAnswered
    | RunStarted
    | JobScheduled
    | StepFinished
    | RunProgressed
    | RunEnded
    | EventDeduplicated
    | OffsetApplied
    | SignalClaimed
    | Wait
    | WaitShape
    | CorrelatedEvent
    | CronScheduled
    | Cancellation
    | CancellationApplied
    | Replay
    | ReplayControl
    | ReplayProgress
    | DeadLetter
)

RECORDS: tuple[type[Record], ...] = (
    Event,
    Function,
    App,
    StartRun,
    CancelRun,
    ResumeRun,
    InvokedRunEnded,
    ClaimSignal,
    ReleaseSignal,
    SignalAnswered,
    RunStarted,
    JobScheduled,
    StepFinished,
    RunProgressed,
    RunEnded,
    EventDeduplicated,
    OffsetApplied,
    SignalClaimed,
    Wait,
    WaitShape,
    CorrelatedEvent,
    CronScheduled,
    Cancellation,
    CancellationApplied,
    Replay,
    ReplayControl,
    ReplayProgress,
    DeadLetter,
)
