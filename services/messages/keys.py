"""Keys of the run-state changelog, which are also the keys of the state stores.

They are text, `kind/run/rest`, so that any Kafka tool shows what a record is about, and so that the records of one
run and kind lie together in an ordered store.

    run/<run>            RunStarted         job/<run>/<job>     JobScheduled
    progress/<run>       RunProgressed      step/<run>/<step>   StepFinished
    end/<run>            RunEnded           dedupe/<function>/<event id>  EventDeduplicated
    offset               OffsetApplied
"""

from __future__ import annotations

from .ids import FunctionKey, JobId, RunId, StepId

OFFSET = b"offset"


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
