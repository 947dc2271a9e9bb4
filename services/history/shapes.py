"""Rows as the JSON that `/v1` answers: field names, capitalised status, RFC 3339 times, payloads unwrapped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from ..messages.ids import FunctionKey, function_uuid
from .read import Found

#: Installations have neither accounts nor environments; clients expect their ids nevertheless.
NO_ID = "00000000-0000-0000-0000-000000000000"
Shape = dict[str, Any]


def timestamp(millis: int | None) -> str | None:
    """RFC 3339 with milliseconds, in UTC; None stays None."""
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_shape(row: Found) -> Shape:
    return {
        "internal_id": row.internal_id,
        "account_id": NO_ID,
        "environment_id": NO_ID,
        "source": row.source,
        "source_id": None,
        "received_at": timestamp(row.received_at),
        "id": row.id or row.internal_id,
        "name": row.name,
        "data": orjson.Fragment(row.data),
        "user": orjson.Fragment(row.user),
        "ts": row.ts,
        "v": row.v,
    }


def run_shape(row: Found) -> Shape:
    """Status and output come from one row that changes at once: a final status never stands without its output."""
    return {
        "run_id": row.run_id,
        "run_started_at": timestamp(row.started_at),
        "function_id": str(function_uuid(FunctionKey(row.function))),
        "function": row.function,
        "function_version": row.function_version,
        "environment_id": NO_ID,
        "event_id": row.event_internal_id,
        "status": row.status,
        "ended_at": timestamp(row.ended_at),
        "output": None if row.output is None else orjson.Fragment(row.output),
    }


def step_shape(row: Found) -> Shape:
    return {
        "id": row.step_id,
        "name": row.name,
        "op": row.op,
        "position": row.position,
        "status": "Failed" if row.failed else "Completed",
        "attempt": row.attempt,
        "started_at": timestamp(row.started_at),
        "ended_at": timestamp(row.ended_at),
        "duration_ms": max(row.ended_at - row.started_at, 0),
        "output": orjson.Fragment(row.output),
    }


def job_shape(row: Found, position: int) -> Shape:
    return {
        "JobID": f"{row.run_id}/{row.job_id}",
        "at": timestamp(row.due_at),
        "position": position,
        "kind": row.kind,
        "attempt": row.attempt,
        "step_id": row.step_id,
        "name": row.name,
        "last_error": None if row.last_error is None else orjson.Fragment(row.last_error),
    }
