"""A run as a tree of spans: the run, its steps in the order in which they began, the attempts of each. Pure.

Rows in, plain dictionaries out, with the field names that tools of SDK users ask for.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ..errors import InvalidInput
from ..messages.ids import DISCOVERY
from .event_content import decoded
from .paging import Found
from .shapes import Shape, timestamp

_STEP_OPS = {
    "Sleep": "SLEEP",
    "WaitForEvent": "WAIT_FOR_EVENT",
    "WaitForSignal": "WAIT_FOR_SIGNAL",
    "InvokeFunction": "INVOKE",
    "AIGateway": "AI_GATEWAY",
}
_KIND_OPS = {"sleep": "SLEEP", "wait": "WAIT_FOR_EVENT", "signal": "WAIT_FOR_SIGNAL", "invoke": "INVOKE"}
_SEPARATOR = "/"
INVOKE_TIMEOUT = "InngestInvokeTimeoutError"


def status_of(status: str) -> str:
    """The status as GraphQL spells it, which has no word for an end that was not seen."""
    if status == "Unknown":
        return "CANCELLED"
    known = ("COMPLETED", "FAILED", "CANCELLED", "SKIPPED")
    return status.upper() if status.upper() in known else "RUNNING"


def output_id(run_id: str, step_id: str = "") -> str:
    """Names what a run, or one of its steps, ended with."""
    return urlsafe_b64encode(f"{run_id}{_SEPARATOR}{step_id}".encode()).decode()


def parse_output_id(text: str) -> tuple[str, str]:
    """Run and step of an output id; the step is empty for the run's own."""
    try:
        run_id, separator, step_id = urlsafe_b64decode(text.encode()).decode().partition(_SEPARATOR)
    except (NotBase64, ValueError) as error:
        raise InvalidInput(f"outputID must be one that a span named, not {text[:40]!r}") from error
    if not separator:
        raise InvalidInput(f"outputID must be one that a span named, not {text[:40]!r}")
    return run_id, step_id


def trace(run: Found, steps: Sequence[Found], attempts: Sequence[Found], jobs: Sequence[Found]) -> Shape:
    """The whole tree. Steps that have not finished are those that jobs are pending for."""
    finished = {step.step_id for step in steps}
    pending = {job.step_id: job for job in jobs if job.step_id not in finished and job.step_id != DISCOVERY}
    began = _first_starts(steps, attempts, pending.values())
    spans = [_step_span(run, step, _attempts_of(step.step_id, attempts), began) for step in steps]
    spans += [_pending_span(run, job, _attempts_of(step, attempts), began) for step, job in pending.items()]
    return _root_span(run) | {"childrenSpans": sorted(spans, key=lambda span: began[span["stepID"]])}


def output_of(text: str, failed: bool) -> Shape:
    """An output taken out of its wrapper: `data` as JSON text, or the error."""
    value = decoded(text)
    if isinstance(value, dict) and len(value) == 1 and "error" in value:
        return {"data": None, "error": error_of(value["error"])}
    if failed:
        return {"data": None, "error": error_of(value)}
    if isinstance(value, dict) and len(value) == 1 and "data" in value:
        value = value["data"]
    return {"data": orjson.dumps(value).decode(), "error": None}


def error_of(value: object) -> Shape:
    error: Mapping[str, object] = value if isinstance(value, dict) else {"message": value}
    message, cause = error.get("message"), error.get("cause")
    return {
        "name": _text(error.get("name")),
        "message": "" if message is None else _text(message),
        "stack": _text(error.get("stack")),
        "cause": None if cause is None else orjson.dumps(cause).decode(),
    }


def _root_span(run: Found) -> Shape:
    ended = run.ended_at is not None
    return _span(run, "root", None, run.started_at, run.ended_at) | {
        "name": run.function.rpartition("/")[2],
        "isRoot": True,
        "status": status_of(run.status),
        "attempts": None,
        "queuedAt": timestamp(run.received_at),
        "outputID": output_id(run.run_id) if ended else None,
    }


def _step_span(run: Found, step: Found, attempts: Sequence[Found], began: Mapping[str, int]) -> Shape:
    detail = decoded(step.detail or None)
    operation = _STEP_OPS.get(step.op, "RUN")
    return _span(run, step.step_id, "root", began[step.step_id], step.ended_at) | {
        "name": step.name,
        "status": "FAILED" if step.failed else "COMPLETED",
        "attempts": step.attempt + 1,
        "outputID": output_id(run.run_id, step.step_id),
        "stepID": step.step_id,
        "stepOp": operation,
        "stepInfo": _step_info(operation, detail if isinstance(detail, dict) else {}, step),
        "childrenSpans": [_attempt_span(run, attempt, began) for attempt in attempts],
    }


def _pending_span(run: Found, job: Found, attempts: Sequence[Found], began: Mapping[str, int]) -> Shape:
    detail = decoded(job.detail or None)
    operation = _KIND_OPS.get(job.kind, "AI_GATEWAY" if _is_ai(detail) else "RUN")
    return _span(run, job.step_id, "root", began[job.step_id], None) | {
        "name": job.name,
        "status": "RUNNING" if job.kind in ("call", "request") else "WAITING",
        "attempts": job.attempt,
        "stepID": job.step_id,
        "stepOp": operation,
        "stepInfo": _step_info(operation, detail if isinstance(detail, dict) else {}, None),
        "childrenSpans": [_attempt_span(run, attempt, began) for attempt in attempts],
    }


def _attempt_span(run: Found, attempt: Found, began: Mapping[str, int]) -> Shape:
    start = attempt.started_at if attempt.started_at is not None else began[attempt.of_step]
    span_id = f"{attempt.of_step}.{attempt.attempt}"
    span = _span(run, span_id, attempt.of_step, min(start, attempt.ended_at), attempt.ended_at)
    return span | {
        "name": f"Attempt {attempt.attempt}",
        "status": "FAILED",
        "attempts": attempt.attempt + 1,
        "stepID": attempt.of_step,
        "stepOp": "RUN",
    }


def _span(run: Found, span_id: str, parent: str | None, start: int, end: int | None) -> Shape:
    return {
        "runID": run.run_id,
        "traceID": run.run_id,
        "spanID": f"{run.run_id}.{span_id}",
        "parentSpanID": None if parent is None else f"{run.run_id}.{parent}",
        "isRoot": False,
        "queuedAt": timestamp(start),
        "startedAt": timestamp(start),
        "endedAt": timestamp(end),
        "duration": None if end is None else max(end - start, 0),
        "outputID": None,
        "stepID": None,
        "stepOp": None,
        "stepInfo": None,
        "childrenSpans": [],
    }


def _step_info(operation: str, detail: Mapping[str, Any], step: Found | None) -> Shape | None:
    until = detail.get("until")
    timeout = timestamp(until) if isinstance(until, int) else None
    came = step is not None and bool(step.source)
    timed_out = None if step is None else not came
    match operation:
        case "SLEEP":
            slept = step.ended_at if step is not None and timeout is None else None
            return {"__typename": "SleepStepInfo", "sleepUntil": timeout or timestamp(slept)}
        case "WAIT_FOR_EVENT":
            return {
                "__typename": "WaitForEventStepInfo",
                "eventName": detail.get("event", ""),
                "expression": detail.get("if"),
                "timeout": timeout,
                "foundEventID": step.source if step is not None and came else None,
                "timedOut": timed_out,
            }
        case "WAIT_FOR_SIGNAL":
            signal = {"signal": detail.get("signal", ""), "timeout": timeout}
            timed_out = None if step is None else step.output == "null"
            return {"__typename": "WaitForSignalStepInfo", "timedOut": timed_out} | signal
        case "INVOKE":
            return {
                "__typename": "InvokeStepInfo",
                "triggeringEventID": None,
                "functionID": detail.get("function", ""),
                "timeout": timeout,
                "returnEventID": None,
                "runID": detail.get("run_id"),
                "timedOut": None if step is None else step.failed and INVOKE_TIMEOUT in step.output,
            }
    return {"__typename": "RunStepInfo", "type": None}


def _first_starts(steps: Sequence[Found], attempts: Sequence[Found], pending: Any) -> dict[str, int]:
    """When each step first began: a step's own row knows its last attempt only."""
    began: dict[str, int] = {}
    for step in steps:
        began[step.step_id] = step.started_at
    for job in pending:
        began[job.step_id] = job.scheduled_at
    for attempt in attempts:
        first = attempt.started_at if attempt.started_at is not None else attempt.ended_at
        began[attempt.of_step] = min(began.get(attempt.of_step, first), first)
    return began


def _attempts_of(step_id: str, attempts: Sequence[Found]) -> list[Found]:
    return [attempt for attempt in attempts if attempt.of_step == step_id]


def _is_ai(detail: object) -> bool:
    return isinstance(detail, dict) and detail.get("op") == "AIGateway"


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
