"""A run as a picture: one line for each step, its attempts, waits and sleeps as spans on a common axis.

Pure: rows in, per cents out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from ..history.read import Found
from ..messages.ids import DISCOVERY
from .axis import Axis, Interval, axis
from .times import duration, exact

Kind = Literal["queued", "work", "failed", "sleep", "wait", "pending"]
State = Literal["Completed", "Failed", "Running", "Retrying", "Sleeping", "Waiting", "Cancelled"]
#: A line's spans beyond this are not drawn; the attempts are listed in full below it.
MAX_SPANS = 60
THINNEST = 0.35

_NAMES = {
    "steprun": "run",
    "step": "run",
    "stepfailed": "run",
    "steperror": "run",
    "stepplanned": "run",
    "sleep": "sleep",
    "waitforevent": "wait",
    "waitforsignal": "signal",
    "invokefunction": "invoke",
    "gateway": "fetch",
    "aigateway": "ai",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a line; `at` and `width` in per cent."""

    kind: Kind
    at: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What a step waits or waited for, as label and value."""

    label: str
    value: str
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that failed and was made again."""

    number: int
    started_at: int | None
    ended_at: int
    next_at: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Line:
    """One step: what it is, how it stands, and its spans."""

    step_id: str
    name: str
    op: str
    state: State
    started_at: int
    ended_at: int | None
    due_at: int | None
    spans: tuple[Span, ...]
    output: str | None = None
    attempts: tuple[Attempt, ...] = ()
    details: tuple[Detail, ...] = ()
    linked_run: str = ""
    linked_event: str = ""
    rerunnable: bool = False

    def length(self, now: int) -> int:
        return max((self.ended_at if self.ended_at is not None else now) - self.started_at, 0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lines, and the axis that they share."""

    axis: Axis
    lines: tuple[Line, ...]
    now_at: float | None


@dataclass(slots=True)
class _Draft:
    """A line before the axis is known: spans in milliseconds."""

    line: Line
    spans: list[tuple[Kind, int, int, str]] = field(default_factory=list)


def timeline(
    run: Found, steps: Iterable[Found], attempts: Iterable[Found], jobs: Iterable[Found], now: int
) -> Timeline:
    """The picture of a run as it stands."""
    steps = tuple(steps)
    failed = _attributed(_by_step(attempts), steps)
    drafts = [_finished(step, failed.pop(step.step_id, [])) for step in steps]
    drafts += [_pending(job, failed.pop(job.step_id, []), now) for job in jobs if job.kind != "cancel"]
    drafts += [_given_up(rows, run) for rows in failed.values()]
    drafts.sort(key=lambda draft: (draft.line.started_at, draft.line.ended_at or now))
    start, end = run.received_at or run.started_at, run.ended_at or now
    start = min([start, *(draft.line.started_at for draft in drafts)])
    end = max([end, start + 1, *(span[2] for draft in drafts for span in draft.spans if span[0] != "pending")])
    made = axis(start, end, _busy(drafts))
    root = _root(run, now)
    lines = tuple(_placed(draft, made) for draft in [root, *drafts])
    return Timeline(made, lines, None if run.ended_at else made.at(now))


def _by_step(attempts: Iterable[Found]) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = defaultdict(list)
    for row in attempts:
        found[row.step_id].append(row)
    return found


def _attributed(failed: dict[str, list[Found]], steps: Sequence[Found]) -> dict[str, list[Found]]:
    """Failed attempts of discovering calls, given to the steps that these calls ran.

    A call that finds a step and runs it at once is known by no step's id; the step's number of attempts says how many
    of the calls before its end were its own.
    """
    calls = failed.pop(DISCOVERY, [])
    for step in sorted(steps, key=lambda step: int(step.ended_at)):
        if step.attempt and step.step_id not in failed:
            own = [call for call in calls if call.ended_at <= step.ended_at][-step.attempt :]
            failed[step.step_id] = own
            calls = [call for call in calls if call not in own]
    return failed | ({DISCOVERY: calls} if calls else {})


def _root(run: Found, now: int) -> _Draft:
    ended = run.ended_at or now
    state: State = "Running" if run.ended_at is None else _end_state(run.status)
    line = Line("", "Run", "function", state, run.received_at or run.started_at, run.ended_at, None, ())
    spans: list[tuple[Kind, int, int, str]] = []
    if run.received_at and run.started_at - run.received_at > 0:
        queued = f"queued {duration(run.started_at - run.received_at)}"
        spans.append(("queued", run.received_at, run.started_at, queued))
    kind: Kind = "failed" if state == "Failed" else "work"
    spans.append((kind, run.started_at, ended, f"{run.status.lower()}, {duration(ended - run.started_at)}"))
    return _Draft(line, spans)


def _end_state(status: str) -> State:
    return "Completed" if status == "Completed" else "Failed" if status == "Failed" else "Cancelled"


def _finished(step: Found, attempts: Sequence[Found]) -> _Draft:
    tried = tuple(map(_attempt, attempts))
    began = min([step.started_at, *(a.started_at or a.ended_at for a in tried)])
    found = details(step.detail)
    line = Line(
        step_id=step.step_id,
        name=step.name or step.step_id,
        op=op_name(step.op),
        state="Failed" if step.failed else "Completed",
        started_at=began,
        ended_at=step.ended_at,
        due_at=None,
        spans=(),
        output=step.output,
        attempts=tried,
        details=found,
        linked_run=step.source if op_name(step.op) == "invoke" else "",
        linked_event=step.source if op_name(step.op) == "wait" else "",
        rerunnable=True,
    )
    began_last = max([step.started_at, *(a.next_at or a.ended_at for a in tried)]) if tried else step.started_at
    kind: Kind = "failed" if step.failed else _kind_of(line.op)
    last = (kind, min(began_last, step.ended_at), step.ended_at, _last_title(step, line, began_last))
    return _Draft(line, [*_attempt_spans(tried), last])


def _last_title(step: Found, line: Line, began: int) -> str:
    attempt = f", attempt {step.attempt + 1}" if step.attempt else ""
    return f"{line.name}: {line.state.lower()}{attempt}, {duration(step.ended_at - began)}"


def _pending(job: Found, attempts: Sequence[Found], now: int) -> _Draft:
    tried = tuple(map(_attempt, attempts))
    state = _pending_state(job, now)
    discovery = job.kind == "call" and job.step_id == DISCOVERY
    line = Line(
        step_id=job.step_id,
        name="next step" if discovery else job.name or job.step_id,
        op="call" if discovery else _job_op(job.kind),
        state=state,
        started_at=min([job.scheduled_at, *(a.started_at or a.ended_at for a in tried)]),
        ended_at=None,
        due_at=job.due_at if job.due_at > now or state != "Running" else None,
        spans=(),
        output=None,
        attempts=tried or _last_attempt(job),
        details=details(job.detail),
        linked_run=_linked_run(job),
    )
    kind: Kind = "pending" if state in ("Running", "Retrying") else "sleep" if state == "Sleeping" else "wait"
    until = max(now, job.scheduled_at)
    span = (kind, job.scheduled_at, until, f"{line.name}: {state.lower()} for {duration(until - job.scheduled_at)}")
    return _Draft(line, [*_attempt_spans(tried), span])


def _pending_state(job: Found, now: int) -> State:
    if job.kind == "sleep":
        return "Sleeping"
    if job.kind in ("wait", "signal", "invoke"):
        return "Waiting"
    return "Retrying" if job.attempt and job.due_at > now else "Running"


def _given_up(rows: Sequence[Found], run: Found) -> _Draft:
    """Attempts of something that never got a result: the function itself, or a step of a run that ended meanwhile."""
    tried = tuple(map(_attempt, rows))
    name = "function" if rows[0].step_id == DISCOVERY else rows[0].name or rows[0].step_id
    line = Line(
        step_id=rows[0].step_id,
        name=name,
        op="call",
        state="Failed" if run.status == "Failed" else "Cancelled" if run.ended_at else "Completed",
        started_at=min(a.started_at or a.ended_at for a in tried),
        ended_at=max(a.ended_at for a in tried),
        due_at=None,
        spans=(),
        attempts=tried,
    )
    return _Draft(line, _attempt_spans(tried))


def _attempt(row: Found) -> Attempt:
    return Attempt(row.attempt + 1, row.started_at, row.ended_at, row.next_at, row.error or "")


def _last_attempt(job: Found) -> tuple[Attempt, ...]:
    if not job.last_error:
        return ()
    return (Attempt(max(job.attempt, 1), None, job.scheduled_at, job.due_at, job.last_error),)


def _attempt_spans(attempts: Sequence[Attempt]) -> list[tuple[Kind, int, int, str]]:
    spans: list[tuple[Kind, int, int, str]] = []
    for a in attempts[:MAX_SPANS]:
        began = a.started_at or a.ended_at
        spans.append(("failed", began, a.ended_at, f"attempt {a.number} failed after {duration(a.ended_at - began)}"))
    return spans


def _busy(drafts: Sequence[_Draft]) -> list[Interval]:
    return [(a, b) for draft in drafts for kind, a, b, _ in draft.spans if kind not in ("sleep", "wait")]


def _placed(draft: _Draft, made: Axis) -> Line:
    return replace(draft.line, spans=tuple(_span(made, *span) for span in draft.spans))


def _span(made: Axis, kind: Kind, start: int, end: int, title: str) -> Span:
    left, right = made.at(start), made.at(max(end, start))
    width = max(right - left, THINNEST)
    return Span(kind, round(min(left, 100.0 - width), 3), round(width, 3), f"{title} · {exact(start)}")


def op_name(op: str) -> str:
    """What kind of step it is, in a short word."""
    return _NAMES.get(op.lower(), op.lower() or "run")


def _job_op(kind: str) -> str:
    return {"call": "run", "request": "fetch"}.get(kind, kind)


def _kind_of(op: str) -> Kind:
    return "sleep" if op == "sleep" else "wait" if op in ("wait", "signal", "invoke") else "work"


_LABELS = {
    "event": "event",
    "if": "condition",
    "signal": "signal",
    "function": "function",
    "run_id": "run",
    "op": "request",
    "conflict": "on conflict",
}


def details(text: str | None) -> tuple[Detail, ...]:
    """What a job waits for, as label and value."""
    fields = _object(text)
    found = [Detail(label, str(fields[key])) for key, label in _LABELS.items() if fields.get(key) not in (None, "")]
    for key, label in (("since", "since"), ("until", "until")):
        if isinstance(fields.get(key), int):
            found.append(Detail(label, "", int(str(fields[key]))))
    return tuple(found)


def _linked_run(job: Found) -> str:
    return str(_object(job.detail).get("run_id") or "") if job.kind == "invoke" else ""


def _object(text: str | None) -> dict[str, object]:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def cancellations(jobs: Iterable[Found]) -> tuple[tuple[Detail, ...], ...]:
    """Which events would cancel the run."""
    return tuple(details(job.detail) for job in jobs if job.kind == "cancel")
