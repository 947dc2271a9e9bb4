"""The shapes and parameters of the read API, as JSON Schema. A test holds the shapes against what is answered."""

from __future__ import annotations

from collections.abc import Mapping

from ..openapi import ANY, FLAG, INTEGER, OBJECT, STRING, TEXT_OR_NULL, TIME_OR_NULL, Schema, object_of

_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_LIST: Schema = {"type": "array"}


_RUN: Mapping[str, Schema] = {
    "run_id": STRING,
    "function_id": STRING,
    "function": STRING,
    "function_version": INTEGER,
    "environment_id": STRING,
    "event_id": TEXT_OR_NULL,
    "event_name": TEXT_OR_NULL,
    "cron": TEXT_OR_NULL,
    "parent_run": TEXT_OR_NULL,
    "parent_job": TEXT_OR_NULL,
    "rerun_of": TEXT_OR_NULL,
    "replay": TEXT_OR_NULL,
    "queued_at": TIME_OR_NULL,
    "run_started_at": TIME_OR_NULL,
    "ended_at": TIME_OR_NULL,
    "status": STRING,
    "output": ANY,
}
_WAITING: Mapping[str, Schema] = {
    "kind": STRING,
    "job_id": STRING,
    "step_id": STRING,
    "name": STRING,
    "since": TIME_OR_NULL,
    "until": TIME_OR_NULL,
    "detail": ANY,
}

SHAPES: Mapping[str, Schema] = {
    "Run": {
        **object_of(**_RUN),
        "properties": {**_RUN, "waiting_for": _LIST, "children": _LIST, "reruns": _LIST},
    },
    "Resumed": object_of(**_RUN, step_id=STRING, step_name=STRING, step_op=STRING),
    "Step": object_of(
        id=STRING,
        name=STRING,
        op=STRING,
        position=INTEGER,
        status=STRING,
        attempt=INTEGER,
        started_at=TIME_OR_NULL,
        ended_at=TIME_OR_NULL,
        duration_ms=INTEGER,
        output=ANY,
        detail=ANY,
        source=TEXT_OR_NULL,
    ),
    "Attempt": object_of(
        job_id=STRING,
        attempt=INTEGER,
        kind=STRING,
        step_id=STRING,
        name=STRING,
        started_at=TIME_OR_NULL,
        ended_at=TIME_OR_NULL,
        next_at=TIME_OR_NULL,
        error=ANY,
    ),
    "Job": object_of(
        JobID=STRING,
        at=TIME_OR_NULL,
        position=INTEGER,
        kind=STRING,
        attempt=INTEGER,
        step_id=STRING,
        name=STRING,
        since=TIME_OR_NULL,
        last_error=ANY,
        detail=ANY,
    ),
    "Wait": object_of(**_WAITING, run_id=STRING, function=STRING, attempt=INTEGER),
    "WaitCounts": OBJECT,
    "Event": object_of(
        internal_id=STRING,
        account_id=STRING,
        environment_id=STRING,
        source=STRING,
        source_id=TEXT_OR_NULL,
        received_at=TIME_OR_NULL,
        id=STRING,
        name=STRING,
        data=ANY,
        user=ANY,
        ts=INTEGER,
        v=TEXT_OR_NULL,
    ),
    "Name": STRING,
    "Count": {**object_of(count=INTEGER, exact=FLAG), "description": "not exact: at least that many"},
    "Function": object_of(
        id=STRING,
        key=STRING,
        app=STRING,
        slug=STRING,
        name=STRING,
        version=INTEGER,
        archived=FLAG,
        registered_at=TIME_OR_NULL,
        config=OBJECT,
    ),
    "Version": object_of(version=INTEGER, registered_at=TIME_OR_NULL, config=OBJECT),
    "Overview": {"type": "object", "description": "function → status → Count"},
    "Bucket": object_of(
        start=TIME_OR_NULL,
        counts=OBJECT,
        sampled=INTEGER,
        p50=_NUMBER_OR_NULL,
        p90=_NUMBER_OR_NULL,
        p99=_NUMBER_OR_NULL,
        wait_p50=_NUMBER_OR_NULL,
        wait_p99=_NUMBER_OR_NULL,
    ),
    "App": object_of(name=STRING, url=STRING, sdk=STRING, framework=STRING, synced_at=TIME_OR_NULL, error=TEXT_OR_NULL),
    "DeadLetter": object_of(
        id=STRING,
        topic=STRING,
        partition=INTEGER,
        offset=INTEGER,
        timestamp=TIME_OR_NULL,
        seen_at=TIME_OR_NULL,
        reason=STRING,
        headers=OBJECT,
        key=TEXT_OR_NULL,
        value=TEXT_OR_NULL,
        value_text=TEXT_OR_NULL,
    ),
}


def _parameter(description: str, schema: Schema | None = None) -> Schema:
    return {"description": description, "schema": schema or STRING}


_MANY: Schema = {"type": "array", "items": STRING}
_MOMENTS: Schema = {"enum": ["queued", "started", "ended"], "default": "queued"}

PARAMETERS: Mapping[str, Schema] = {
    "status": _parameter(
        "Running, Completed, Failed, Cancelled, Skipped or Unknown (its end was not seen); several may be given", _MANY
    ),
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
