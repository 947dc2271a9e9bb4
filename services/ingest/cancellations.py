"""Bulk cancellations: cancel a function's runs by when they started, and by their event.

A cancellation is a record on the functions topic, so that every owner of runs learns of it, and applies it to the runs
that it holds, and to those that start until its time is over. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from ..errors import InvalidExpression, InvalidInput
from ..expressions.expression import compile_expression
from ..functions.table import Forgotten, FunctionTable, TableRecord
from ..messages.ids import FunctionKey, app_uuid, function_uuid
from ..messages.keys import cancellation_key
from ..messages.records import Cancellation
from ..messages.topics import DAY_MS
from .answers import timestamp

#: Owners of runs look at a cancellation no more when its time is over for this long.
KEPT_MS = 30 * DAY_MS
MAX_AHEAD_MS = 366 * DAY_MS
MAX_CANCELLATIONS = 1000
#: Installations have no environments; clients expect their id nevertheless.
NO_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class CancellationRequest:
    """What a caller asks for, read and bounded; the function is still only named."""

    app: str
    function: str
    started_after: int
    started_before: int
    condition: str


def read_request(body: bytes, now: int) -> CancellationRequest:
    """Read `{app_id, function_id, started_after?, started_before, if?}`; `InvalidInput` says which key is wrong."""
    sent = _object(body)
    request = CancellationRequest(
        app=_text(sent, "app_id"),
        function=_text(sent, "function_id"),
        started_after=_time(sent, "started_after") if sent.get("started_after") is not None else 0,
        started_before=_time(sent, "started_before"),
        condition=_condition(sent.get("if")),
    )
    if request.started_before > now + MAX_AHEAD_MS:
        raise InvalidInput("started_before: is more than a year ahead; to stop a function, remove it from its app")
    if request.started_after >= request.started_before:
        raise InvalidInput("started_after: must be before started_before")
    return request


def plan(table: FunctionTable, wanted: Cancellation, now: int) -> tuple[TableRecord, ...]:
    """The records to write: the new cancellation, and tombstones for those that are long past."""
    known = table.cancellations()
    past = [Forgotten(cancellation_key(each.id).decode()) for each in known if _is_past(each, now)]
    if len(known) - len(past) >= MAX_CANCELLATIONS:
        raise InvalidInput(
            f"there are {MAX_CANCELLATIONS} cancellations; delete some with DELETE /v1/cancellations/<id>"
        )
    return (*past, wanted)


def _is_past(cancellation: Cancellation, now: int) -> bool:
    return max(cancellation.created_at, cancellation.started_before) + KEPT_MS < now


def cancellation_of(request: CancellationRequest, id_: str, function: FunctionKey, now: int) -> Cancellation:
    return Cancellation(
        id=id_,
        function=function,
        started_before=request.started_before,
        created_at=now,
        started_after=request.started_after,
        condition=request.condition,
    )


def shape(cancellation: Cancellation, table: FunctionTable) -> dict[str, object]:
    """The cancellation as clients know it."""
    registered = table.record(cancellation.function)
    app, _, slug = cancellation.function.partition("/")
    return {
        "id": cancellation.id,
        "environment_id": NO_ID,
        "app_id": str(app_uuid(registered.app if registered else app)),
        "function_id": registered.slug if registered else slug,
        "function_internal_id": str(function_uuid(cancellation.function)),
        "started_after": timestamp(cancellation.started_after) if cancellation.started_after else None,
        "started_before": timestamp(cancellation.started_before),
        "if": cancellation.condition or None,
        "kind": "bulk_run",
        "name": None,
        "created_at": timestamp(cancellation.created_at),
    }


def _object(body: bytes) -> dict[str, object]:
    try:
        sent = orjson.loads(body or b"null")
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise InvalidInput("a cancellation is a JSON object with app_id, function_id and started_before")
    return {key.lower(): value for key, value in sent.items()}


def _text(sent: dict[str, object], key: str) -> str:
    value = sent.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{key}: expected text; name the function by app_id and function_id, as the app does")
    return value


def _time(sent: dict[str, object], key: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time; without an offset it is UTC."""
    value = sent.get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 64 else None
        millis = -1 if moment is None else _millis(moment)
    except (ValueError, OverflowError):
        millis = -1
    if millis < 0:
        raise InvalidInput(f"{key}: expected an ISO 8601 time such as 2026-08-31T12:00:00Z, not {str(value)[:40]!r}")
    return millis


def _millis(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _condition(value: object) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise InvalidInput("if: expected a CEL expression over event, as text")
    try:
        compile_expression(value)
    except InvalidExpression as error:
        raise InvalidInput(f"if: {value[:200]!r} does not compile: {error}") from error
    return value
