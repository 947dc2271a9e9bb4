"""Keys of the changelogs (`run-state`, `waits`), which are also the keys of the state stores.

They are text, `kind/run/rest`, so that any Kafka tool shows what a record is about, and so that the records of one
run and kind lie together in an ordered store.

    run/<run>            RunStarted         job/<run>/<job>     JobScheduled
    progress/<run>       RunProgressed      step/<run>/<step>   StepFinished
    end/<run>            RunEnded           dedupe/<function>/<event id>  EventDeduplicated
    offset               OffsetApplied      signal/<name>       SignalClaimed
    cancellation/<id>    CancellationApplied   cron/<function>/<schedule>  CronScheduled

A wait's key begins with its correlation, a hash of what the event must have: event name, path, and value at the path.
The correlation also decides the partition of `waits` and `correlations`, so that wait and event meet.

    <correlation>/<run>/<job>   Wait

On `replays`:

    replay/<id>          Replay             control/<id>        ReplayControl
    progress/<id>        ReplayProgress
"""

from __future__ import annotations

import hashlib

from .ids import FunctionKey, JobId, RunId, StepId
from .records import CorrelatedEvent, Replay, ReplayControl, ReplayProgress, Wait

OFFSET = b"offset"
OWNER_HEADER = "owner"
"""On the last record of each commit to `run-state`: names the owning of the partition that wrote it."""


def run_key(run: RunId) -> bytes:
    return f"run/{run}".encode()


def progress_key(run: RunId) -> bytes:
    return f"progress/{run}".encode()


def end_key(run: RunId) -> bytes:
    return f"end/{run}".encode()


def job_key(run: RunId, job: JobId) -> bytes:
    return f"job/{run}/{job}".encode()


def jobs_prefix(run: RunId) -> bytes:
    return f"job/{run}/".encode()


def step_key(run: RunId, step: StepId) -> bytes:
    return f"step/{run}/{step}".encode()


def steps_prefix(run: RunId) -> bytes:
    return f"step/{run}/".encode()


def dedupe_key(function: FunctionKey, event_id: str) -> bytes:
    return f"dedupe/{function}/{event_id}".encode()


def kind_of(key: bytes) -> bytes:
    """`b"step"` of `b"step/01J…/ab12"`."""
    return key.partition(b"/")[0]


def run_of(key: bytes) -> RunId:
    """The run that a run's key names; the key must be of a kind that has one."""
    return RunId(key.split(b"/", 2)[1].decode())


def signal_key(signal: str) -> bytes:
    return f"signal/{signal}".encode()


def cron_key(function: FunctionKey, cron: str) -> bytes:
    return f"cron/{function}/{cron}".encode()


def cancellation_key(cancellation: str) -> bytes:
    return f"cancellation/{cancellation}".encode()


def cancellation_of(key: str) -> str:
    """The id of the cancellation that lies under a key; empty for any other key."""
    return key.removeprefix("cancellation/") if key.startswith("cancellation/") else ""


def correlation(event: str, path: str, value: str) -> str:
    """32 hex digits: what a wait looks for, and what an event offers. `path` and `value` are empty together."""
    return hashlib.blake2b(f"{event}\0{path}\0{value}".encode(), digest_size=16).hexdigest()


def correlation_of(record: Wait | CorrelatedEvent) -> str:
    return correlation(record.event, record.path, record.value)


def wait_key(wait: Wait) -> str:
    """Key of a wait on its topic; text, so that a job can remember it."""
    return f"{correlation_of(wait)}/{wait.run_id}/{wait.job_id}"


def correlation_partition(key: str, partitions: int) -> int:
    """Partition of `waits` and `correlations` for a correlation, or for a wait's key, which begins with one."""
    return int(key[:8], 16) % partitions


def shape_key(event: str, path: str) -> bytes:
    return f"{event}\0{path}".encode()


def replay_key(record: Replay | ReplayControl | ReplayProgress) -> bytes:
    """What is asked for, what is wanted and how far it is have a key, and a writer, each."""
    kinds = {Replay: "replay", ReplayControl: "control", ReplayProgress: "progress"}
    return f"{kinds[type(record)]}/{record.id}".encode()
