"""What a test sees of a run: values decoded, times aware, names as user code gave them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from ..messages.ids import RunId
from ..messages.records import JobScheduled, StepFinished
from ..runs.run import Run

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    "wait": "event",
    "signal": "signal",
    "invoke": "function",
    "sleep": "sleep",
    "request": "request",
    "cancel": "cancel",
}


def moment(millis: int) -> datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=millis)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step that has its result: `output` of one that succeeded, `error` of one that failed for good."""

    name: str
    op: str
    output: Any
    error: Any
    attempts: int
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class WaitView:
    """What a run waits for.

    `kind` is `event`, `signal`, `function` (an invoked one), `sleep`, `request` or `retry`; `what` names the event, the
    signal, the function or the URL; `until` is the timeout, or when it happens by itself. Of a retry, `error` is why.
    """

    kind: str
    step: str
    what: str
    condition: str | None
    since: datetime
    until: datetime
    attempt: int
    error: Any


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that happens by itself, unless something else happens before."""

    at: datetime
    run: str
    function: str
    kind: str
    step: str


class RunView:
    """A run, as it is whenever it is looked at."""

    __slots__ = ("_load", "id")

    def __init__(self, run_id: RunId, load: Callable[[RunId], Run | None]) -> None:
        self.id = run_id
        self._load = load

    @property
    def function(self) -> str:
        """The id that the function was created with, after its app's: `app-function`."""
        return self._run.started.function.partition("/")[2]

    @property
    def status(self) -> str:
        """`Running`, `Completed`, `Failed` or `Cancelled`."""
        ended = self._run.ended
        return "Running" if ended is None else ended.status

    @property
    def output(self) -> Any:
        """What the function returned; None while it has not come to its end."""
        ended = self._run.ended
        return orjson.loads(ended.output) if ended is not None and ended.status == "Completed" else None

    @property
    def error(self) -> Any:
        """`{name, message, …}` of a run that failed or was cancelled, or None."""
        ended = self._run.ended
        return None if ended is None or ended.status == "Completed" else orjson.loads(ended.output)

    @property
    def event(self) -> Any:
        """The event that started the run."""
        return orjson.loads(self._run.started.events[0])

    @property
    def started_at(self) -> datetime:
        return moment(self._run.started.started_at)

    @property
    def ended_at(self) -> datetime | None:
        ended = self._run.ended
        return None if ended is None else moment(ended.ended_at)

    @property
    def steps(self) -> list[StepView]:
        """The steps that have their result, in the order in which they got it."""
        return [step_view(step) for step in self._run.steps.values()]

    def step(self, name: str) -> StepView:
        """The last step of this name; `LookupError` tells which there are."""
        steps = self.steps
        found = next((step for step in reversed(steps) if step.name == name), None)
        if found is None:
            there = ", ".join(repr(step.name) for step in steps) or "none yet"
            raise LookupError(f"no step {name!r} has its result; there are: {there}. {self!r}")
        return found

    @property
    def waiting_for(self) -> list[WaitView]:
        """What brings the run forward next, soonest first. Empty for a run that has ended."""
        jobs = sorted(self._run.jobs.values(), key=lambda job: (job.due_at, job.job_id))
        return [wait_view(job) for job in jobs if job.kind != "cancel"]

    @property
    def timers(self) -> list[Timer]:
        """Timeouts, wake-ups, retries and the end of what may cancel the run, soonest first."""
        jobs = sorted(self._run.jobs.values(), key=lambda job: (job.due_at, job.job_id))
        return [Timer(moment(job.due_at), self.id, self.function, kind_of(job), job.name) for job in jobs]

    @property
    def _run(self) -> Run:
        run = self._load(self.id)
        if run is None:
            raise LookupError(f"no run {self.id} in this world")
        return run

    def __repr__(self) -> str:
        run = self._run
        now = run.ended.output if run.ended else f"waiting for {[(w.kind, w.what) for w in self.waiting_for]}"
        return f"<{self.function} {self.id} {self.status}: {now[:300]}>"


def step_view(step: StepFinished) -> StepView:
    value = orjson.loads(step.output)
    wrapped = value if isinstance(value, dict) and value.keys() in ({"data"}, {"error"}) else {"data": value}
    return StepView(
        name=step.name,
        op=step.op,
        output=wrapped.get("data"),
        error=wrapped.get("error"),
        attempts=step.attempt + 1,
        started_at=moment(step.started_at),
        ended_at=moment(step.ended_at),
    )


def wait_view(job: JobScheduled) -> WaitView:
    about = orjson.loads(job.detail) if job.detail else {}
    opts = about.get("opts", {})
    what = about.get("event") or about.get("signal") or about.get("function", "").partition("/")[2] or opts.get("url")
    return WaitView(
        kind=kind_of(job),
        step=job.name,
        what=what or "",
        condition=about.get("if"),
        since=moment(about.get("since", job.scheduled_at)),
        until=moment(job.due_at),
        attempt=job.attempt,
        error=orjson.loads(job.last_error) if job.last_error else None,
    )


def kind_of(job: JobScheduled) -> str:
    """A call that is made at once is never seen between two moments, so a call is a retry, or a start put off."""
    if job.kind != "call":
        return _KINDS.get(job.kind, job.kind)
    return "retry" if job.attempt else "start"
