"""What a run is: the fold of its changelog entries.

`fold` is the only way in which a run changes, live and when restored, so both agree by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from ..messages.ids import DISCOVERY, JobId, RunId, StepId
from ..messages.records import JobScheduled, RunEnded, RunProgressed, RunStarted, StepFinished


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """A job is done or dropped: a tombstone on its key."""

    run_id: RunId
    job_id: JobId


Entry = RunStarted | JobScheduled | JobRemoved | StepFinished | RunProgressed | RunEnded


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its owner knows it. `steps` is in the order in which they finished: the SDK's stack."""

    started: RunStarted
    jobs: Mapping[JobId, JobScheduled] = field(default_factory=dict)
    steps: dict[StepId, StepFinished] = field(default_factory=dict)
    request_version: int = -1
    disable_immediate_execution: bool = False
    pending: frozenset[StepId] = frozenset()
    ended: RunEnded | None = None
    state_bytes: int = 0
    """Characters of all step outputs together."""

    @property
    def id(self) -> RunId:
        return self.started.run_id

    @property
    def work(self) -> int:
        """Jobs that will bring the run forward; what may cancel it is none."""
        return sum(job.kind != "cancel" for job in self.jobs.values())

    @property
    def step_count(self) -> int:
        """Steps that finished or are under way."""
        return len(self.steps) + sum(job.step_id not in ("", DISCOVERY) for job in self.jobs.values())

    @property
    def last_step(self) -> StepFinished | None:
        """The step that finished last."""
        return self.steps[next(reversed(self.steps))] if self.steps else None


def fold(run: Run | None, entry: Entry) -> Run:
    """The run after one more entry. The first must be `RunStarted`; a repeated entry changes nothing."""
    if isinstance(entry, RunStarted):
        return Run(entry) if run is None else run
    if run is None:
        raise ValueError(f"{type(entry).__name__} of {entry.run_id} came before its RunStarted")
    match entry:
        case JobScheduled():
            return replace(run, jobs={**run.jobs, entry.job_id: entry})
        case JobRemoved():
            return replace(run, jobs={key: job for key, job in run.jobs.items() if key != entry.job_id})
        case StepFinished():
            if entry.step_id in run.steps:
                return run
            steps = {**run.steps, entry.step_id: entry}
            return replace(run, steps=steps, state_bytes=run.state_bytes + len(entry.output))
        case RunProgressed():
            return replace(
                run,
                request_version=entry.request_version,
                disable_immediate_execution=entry.disable_immediate_execution,
                pending=frozenset(entry.pending),
            )
        case RunEnded():
            return replace(run, ended=entry)
        case _:
            assert_never(entry)


def restore(started: RunStarted, entries: Iterable[Entry]) -> Run:
    """The run that a state store holds: its entries may come in the order of their keys, not of time."""
    run = Run(started)
    ordered = sorted(entries, key=lambda entry: entry.position if isinstance(entry, StepFinished) else -1)
    for entry in ordered:
        run = fold(run, entry)
    return run
