"""Rows as the JSON that `/v1` answers: field names, capitalised status, RFC 3339 times, payloads unwrapped."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from ..messages.ids import FunctionKey, function_uuid
from .paging import Found
from .statistics import Bucket

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


def event_json(row: Found) -> str:
    """The event as JSON text, in the shape that SDKs receive."""
    shape = {
        "id": row.id or row.internal_id,
        "name": row.name,
        "data": orjson.Fragment(row.data),
        "user": orjson.Fragment(row.user),
        "ts": row.ts,
    }
    return orjson.dumps(shape if row.v is None else shape | {"v": row.v}).decode()


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
        "event_name": row.event_name,
        "cron": row.cron or None,
        "parent_run": row.parent_run or None,
        "parent_job": row.parent_job or None,
        "rerun_of": row.rerun_of or None,
        "replay": row.replay or None,
        "queued_at": timestamp(row.received_at),
        "status": row.status,
        "ended_at": timestamp(row.ended_at),
        "output": _json(getattr(row, "output", None)),
    }


def resumed_shape(row: Found) -> Shape:
    """A run with the step that an event gave its result."""
    return run_shape(row) | {"step_id": row.step_id, "step_name": row.step_name, "step_op": row.step_op}


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
        "detail": _json(row.detail),
        "source": row.source or None,
    }


def attempt_shape(row: Found) -> Shape:
    return {
        "job_id": row.job_id,
        "attempt": row.attempt,
        "kind": row.kind,
        "step_id": row.of_step,
        "name": row.name,
        "started_at": timestamp(row.started_at),
        "ended_at": timestamp(row.ended_at),
        "next_at": timestamp(row.next_at),
        "error": orjson.Fragment(row.error),
    }


def waiting_shape(row: Found) -> Shape:
    """What a run waits for, since when, until when."""
    return {
        "kind": row.kind,
        "job_id": row.job_id,
        "step_id": row.step_id,
        "name": row.name,
        "since": timestamp(row.scheduled_at),
        "until": timestamp(row.due_at),
        "detail": _json(row.detail),
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
        "since": timestamp(row.scheduled_at),
        "last_error": _json(row.last_error),
        "detail": _json(row.detail),
    }


def wait_shape(row: Found) -> Shape:
    """A wait in the list of all."""
    return waiting_shape(row) | {"run_id": row.run_id, "function": row.function, "attempt": row.attempt}


def function_shape(row: Found) -> Shape:
    return {
        "id": str(function_uuid(FunctionKey(row.key))),
        "key": row.key,
        "app": row.app,
        "slug": row.slug,
        "name": row.name,
        "version": row.version,
        "archived": row.archived,
        "registered_at": timestamp(row.registered_at),
        "config": orjson.Fragment(row.config),
    }


def version_shape(row: Found) -> Shape:
    config = orjson.Fragment(row.config)
    return {"version": row.version, "registered_at": timestamp(row.registered_at), "config": config}


def app_shape(row: Found) -> Shape:
    return {
        "name": row.name,
        "url": row.url,
        "sdk": row.sdk,
        "framework": row.framework,
        "synced_at": timestamp(row.synced_at),
        "error": row.error,
    }


def bucket_shape(bucket: Bucket) -> Shape:
    return asdict(bucket) | {"start": timestamp(bucket.start)}


def dead_letter_shape(row: Found) -> Shape:
    """Bytes as base64; also as text where they are one."""
    return {
        "id": row.id,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "timestamp": timestamp(row.timestamp),
        "seen_at": timestamp(row.seen_at),
        "reason": row.reason,
        "headers": orjson.Fragment(row.headers),
        "key": _base64(row.key),
        "value": _base64(row.value),
        "value_text": _text(row.value),
    }


def _json(text: str | None) -> object:
    """A payload as the value it is; nothing is null."""
    return orjson.Fragment(text) if text else None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
