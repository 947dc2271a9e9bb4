"""The shapes and parameters of the read API, as JSON Schema. A test holds the shapes against what is answered."""

from __future__ import annotations

from collections.abc import Mapping

Schema = dict[str, object]

_STRING: Schema = {"type": "string"}
_TEXT: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "integer"}
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_ANY: Schema = {"description": "any JSON"}
_OBJECT: Schema = {"type": "object"}
_LIST: Schema = {"type": "array"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": sorted(properties), "properties": properties}


_RUN: Mapping[str, Schema] = {
    "run_id": _STRING,
    "function_id": _STRING,
    "function": _STRING,
    "function_version": _NUMBER,
    "environment_id": _STRING,
    "event_id": _TEXT,
    "event_name": _TEXT,
    "cron": _TEXT,
    "parent_run": _TEXT,
    "parent_job": _TEXT,
    "rerun_of": _TEXT,
    "replay": _TEXT,
    "queued_at": _TIME,
    "run_started_at": _TIME,
    "ended_at": _TIME,
    "status": _STRING,
    "output": _ANY,
}
_WAITING: Mapping[str, Schema] = {
    "kind": _STRING,
    "job_id": _STRING,
    "step_id": _STRING,
    "name": _STRING,
    "since": _TIME,
    "until": _TIME,
    "detail": _ANY,
}

SHAPES: Mapping[str, Schema] = {
    "Run": {
        **_object(**_RUN),
        "properties": {**_RUN, "waiting_for": _LIST, "children": _LIST, "reruns": _LIST},
    },
    "Resumed": _object(**_RUN, step_id=_STRING, step_name=_STRING, step_op=_STRING),
    "Step": _object(
        id=_STRING,
        name=_STRING,
        op=_STRING,
        position=_NUMBER,
        status=_STRING,
        attempt=_NUMBER,
        started_at=_TIME,
        ended_at=_TIME,
        duration_ms=_NUMBER,
        output=_ANY,
        detail=_ANY,
        source=_TEXT,
    ),
    "Attempt": _object(
        job_id=_STRING,
        attempt=_NUMBER,
        kind=_STRING,
        step_id=_STRING,
        name=_STRING,
        started_at=_TIME,
        ended_at=_TIME,
        next_at=_TIME,
        error=_ANY,
    ),
    "Job": _object(
        JobID=_STRING,
        at=_TIME,
        position=_NUMBER,
        kind=_STRING,
        attempt=_NUMBER,
        step_id=_STRING,
        name=_STRING,
        since=_TIME,
        last_error=_ANY,
        detail=_ANY,
    ),
    "Wait": _object(**_WAITING, run_id=_STRING, function=_STRING, attempt=_NUMBER),
    "WaitCounts": _OBJECT,
    "Event": _object(
        internal_id=_STRING,
        account_id=_STRING,
        environment_id=_STRING,
        source=_STRING,
        source_id=_TEXT,
        received_at=_TIME,
        id=_STRING,
        name=_STRING,
        data=_ANY,
        user=_ANY,
        ts=_NUMBER,
        v=_TEXT,
    ),
    "Name": _STRING,
    "Count": {**_object(count=_NUMBER, exact=_FLAG), "description": "not exact: at least that many"},
    "Function": _object(
        id=_STRING,
        key=_STRING,
        app=_STRING,
        slug=_STRING,
        name=_STRING,
        version=_NUMBER,
        archived=_FLAG,
        registered_at=_TIME,
        config=_OBJECT,
    ),
    "Version": _object(version=_NUMBER, registered_at=_TIME, config=_OBJECT),
    "Overview": {"type": "object", "description": "function → status → Count"},
    "Bucket": _object(
        start=_TIME,
        counts=_OBJECT,
        sampled=_NUMBER,
        p50=_NUMBER_OR_NULL,
        p90=_NUMBER_OR_NULL,
        p99=_NUMBER_OR_NULL,
        wait_p50=_NUMBER_OR_NULL,
        wait_p99=_NUMBER_OR_NULL,
    ),
    "App": _object(name=_STRING, url=_STRING, sdk=_STRING, framework=_STRING, synced_at=_TIME, error=_TEXT),
    "DeadLetter": _object(
        id=_STRING,
        topic=_STRING,
        partition=_NUMBER,
        offset=_NUMBER,
        timestamp=_TIME,
        seen_at=_TIME,
        reason=_STRING,
        headers=_OBJECT,
        key=_TEXT,
        value=_TEXT,
        value_text=_TEXT,
    ),
}


def _parameter(description: str, schema: Schema | None = None) -> Schema:
    return {"description": description, "schema": schema or _STRING}


_MANY: Schema = {"type": "array", "items": _STRING}
_MOMENTS: Schema = {"enum": ["queued", "started", "ended"], "default": "queued"}

PARAMETERS: Mapping[str, Schema] = {
    "status": _parameter("Running, Completed, Failed, Cancelled or Skipped; several may be given", _MANY),
    "function": _parameter("app/function; of lists, several may be given", _MANY),
    "app": _parameter("An app's name", _MANY),
    "time_field": _parameter("The moment that `from` and `until` are about", _MOMENTS),
    "order": _parameter("The moment by which runs are in order; runs that have not reached it are left out", _MOMENTS),
    "direction": _parameter("The latest first, or the earliest", {"enum": ["desc", "asc"], "default": "desc"}),
    "from": _parameter("RFC 3339, or milliseconds since 1970; this moment counts"),
    "until": _parameter("RFC 3339, or milliseconds since 1970; this moment does not count"),
    "received_after": _parameter("The same as `from`"),
    "received_before": _parameter("The same as `until`"),
    "user": _parameter("Whom the event concerns: `user.id`, `user.external_id`, `user.email`, or the configured path"),
    "text": _parameter("Found in ids, names, payloads and outputs; capitals do not matter"),
    "cel": _parameter("A CEL condition over `event`, and `output` for runs"),
    "replay": _parameter("The replay that started it"),
    "parent": _parameter("The run that invoked it"),
    "rerun_of": _parameter("The run that it repeats"),
    "name": _parameter("An event's name; several may be given", _MANY),
    "internal": _parameter("`false` leaves out events that the system made", {"enum": ["true", "false"]}),
    "prefix": _parameter("How names begin"),
    "archived": _parameter("`true` lists archived functions too", {"enum": ["true", "false"], "default": "false"}),
    "buckets": _parameter("Into how many parts the time is cut", {"type": "integer", "minimum": 1, "maximum": 200}),
    "kind": _parameter("call, sleep, wait, signal, invoke, request or cancel; several may be given", _MANY),
    "topic": _parameter("The topic on which the record lay"),
    "limit": _parameter("Items in a page", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    "cursor": _parameter("`metadata.next_cursor` of the page before"),
    "after": _parameter("The id of the last message that was seen"),
}
