"""One turn of a run: collects the entries and effects of a fact while keeping the run that results from them."""

from __future__ import annotations

from dataclasses import dataclass

from ..messages.ids import DISCOVERY, JobId, RunId, StepId
from ..messages.records import (
    ClaimSignal,
    Event,
    InvokedRunEnded,
    JobKind,
    JobScheduled,
    ReleaseSignal,
    RunEnded,
    RunProgressed,
    RunStatus,
    StartRun,
    StepFinished,
    Wait,
)
from ..messages.topics import DAY_MS
from .details import signal_of
from .effects import CallFunction, Effect, EndAnnounced, Message, ScheduleWake, SendRequest, WaitOver
from .run import Entry, JobRemoved, Run, fold

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits and delays, from the settings. Sizes count characters of JSON text, times are in ms."""

    linear_retry_seconds: float | None = None
    retention_ms: int = DAY_MS
    max_steps: int = 1000
    max_state: int = 32 * MIB
    lookback: int | None = None
    """How long before its registration a wait sees events (ms); None: since the last step before it began."""


class Turn:
    """The run under change. Only `record` changes it, by folding an entry."""

    __slots__ = ("effects", "entries", "messages", "now", "rules", "run")

    def __init__(self, run: Run, now: int, rules: Rules) -> None:
        self.run = run
        self.now = now
        self.rules = rules
        self.entries: list[Entry] = []
        self.effects: list[Effect] = []
        self.messages: list[Message] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.run = fold(self.run, entry)

    def schedule(
        self,
        job_id: JobId,
        kind: JobKind,
        step_id: StepId,
        due_at: int,
        *,
        name: str = "",
        attempt: int = 0,
        mode: str = "wait",
        last_error: str | None = None,
        detail: str = "",
        wait_key: str = "",
    ) -> None:
        """Put a job in place (what is due now is done after the commit), replacing its earlier attempt."""
        due_at = max(due_at, self.now)
        run_id = self.run.id
        self.record(
            JobScheduled(
                run_id, job_id, kind, step_id, due_at, self.now, name, attempt, mode, last_error, detail, wait_key
            )
        )
        if kind == "call" and due_at == self.now:
            self.effects.append(CallFunction(run_id, job_id))
        elif kind == "request" and due_at == self.now:
            self.effects.append(SendRequest(run_id, job_id))
        else:
            self.effects.append(ScheduleWake(run_id, job_id, due_at))

    def discover(self, cause: str, due_at: int = 0) -> None:
        """Call the function to find out what comes next; one job per cause, however often it is asked for."""
        if self.run.disable_immediate_execution and self.run.request_version >= 2:
            self.progress(disable_immediate_execution=False)
        self.schedule(JobId(f"discover/{cause}"), "call", DISCOVERY, due_at)

    def remove(self, job_id: JobId) -> None:
        """The job is done or dropped; whoever looks out for it on the run's behalf is told."""
        job = self.run.jobs.get(job_id)
        if job is None:
            return
        self.record(JobRemoved(self.run.id, job_id))
        if job.wait_key:
            self.messages.append(WaitOver(job.wait_key))
        if job.kind == "signal":
            self.messages.append(ReleaseSignal(signal_of(job), self.run.id, job_id))

    def finish_step(
        self,
        step_id: StepId,
        op: str,
        name: str,
        output: str,
        *,
        started_at: int,
        failed: bool = False,
        attempt: int = 0,
        detail: str = "",
        source: str = "",
    ) -> bool:
        """Remember a step's result; False when it has one already, which stays."""
        run = self.run
        if step_id in run.steps:
            return False
        position, started_at = len(run.steps), min(started_at, self.now)
        self.record(
            StepFinished(
                run.id, step_id, position, op, name, output, started_at, self.now, failed, attempt, detail, source
            )
        )
        return True

    def progress(
        self,
        *,
        request_version: int | None = None,
        disable_immediate_execution: bool | None = None,
        pending: frozenset[StepId] | None = None,
    ) -> None:
        """Change the small mutable part of the run; an entry only when something differs."""
        run = self.run
        version = run.request_version if request_version is None else request_version
        disable = (
            run.disable_immediate_execution if disable_immediate_execution is None else disable_immediate_execution
        )
        waiting = run.pending if pending is None else pending
        if (version, disable, waiting) != (run.request_version, run.disable_immediate_execution, run.pending):
            self.record(RunProgressed(run.id, version, disable, tuple(sorted(waiting))))

    def end(self, status: RunStatus, output: str) -> None:
        """End the run: what is under way is dropped, and its answers will be ignored."""
        # What the run asked for in this turn before it ended must not be acted upon.
        self.effects.clear()
        self.messages = [m for m in self.messages if not isinstance(m, Event | StartRun | ClaimSignal | Wait)]
        for job_id in tuple(self.run.jobs):
            self.remove(job_id)
        self.record(RunEnded(self.run.id, status, output, self.now, self.now + self.rules.retention_ms))
        started = self.run.started
        if started.parent_run:
            parent, job_id = RunId(started.parent_run), JobId(started.parent_job)
            self.messages.append(InvokedRunEnded(parent, job_id, self.run.id, status, output))
        self.messages.append(EndAnnounced(self.run))
