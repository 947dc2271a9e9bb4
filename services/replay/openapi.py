"""`/v1/replays`, for `/openapi.json`. A test holds the shapes against what is read and answered."""

from __future__ import annotations

from typing import get_args

from ..messages.incoming import MAX_NAME_CHARACTERS
from ..openapi import (
    FLAG,
    INTEGER,
    NUMBER,
    STRING,
    TIME,
    TIME_OR_NULL,
    Operation,
    Part,
    Schema,
    answered,
    array,
    enveloped,
    json_body,
    object_of,
    parameter,
    ref,
    refused,
)
from .api import DEFAULT_LIMIT, MAX_LIMIT
from .requests import MAX_CONDITION, MAX_RATE
from .table import Status

_MOMENT: Schema = {"type": ["string", "integer"], "description": "RFC 3339, or milliseconds since 1970"}
_RATE: Schema = {
    "type": ["number", "null"],
    "exclusiveMinimum": 0,
    "maximum": MAX_RATE,
    "description": "Runs a second",
}
_FLAG: Schema = {"type": "boolean", "default": False}

_SHAPES: dict[str, Schema] = {
    "ReplayRequest": {
        "type": "object",
        "required": ["function"],
        "additionalProperties": False,
        "properties": {
            "function": {"type": "string", "description": "app/function, or the function where only one app has it"},
            "from": _MOMENT,
            "to": _MOMENT,
            "event": {"type": "string", "maxLength": MAX_NAME_CHARACTERS, "description": "Only events of this name"},
            "if": {"type": "string", "maxLength": MAX_CONDITION, "description": "A CEL condition over `event`"},
            "ignore_triggers": _FLAG | {"description": "Also events that its triggers do not take"},
            "limit": {"type": "integer", "minimum": 0, "description": "At most so many events; 0 is all"},
            "rate": _RATE,
            "dry_run": _FLAG | {"description": "Only count"},
            "force": _FLAG | {"description": "Again what was replayed before: new runs"},
        },
    },
    "Replay": object_of(
        id=STRING,
        function=STRING,
        event=STRING,
        to=TIME_OR_NULL,
        ignore_triggers=FLAG,
        limit=INTEGER,
        rate=NUMBER,
        dry_run=FLAG,
        created_at=TIME,
        status={"enum": list(get_args(Status))},
        total=INTEGER,
        done=INTEGER,
        matched=INTEGER,
        started=INTEGER,
        undecodable=INTEGER,
        by_day={"type": "object", "additionalProperties": INTEGER},
        records_per_second=NUMBER,
        eta_seconds={"type": ["number", "null"]},
        seconds_at_rate=NUMBER,
        held_back=STRING,
        updated_at=TIME,
        error=STRING,
        partitions=array(object_of(topic=STRING, partition=INTEGER, begin=INTEGER, position=INTEGER, end=INTEGER)),
        **{"from": TIME_OR_NULL, "if": STRING},
    ),
}
_REPLAY = enveloped(ref("Replay"))
_RESUME: Schema = {"type": "object", "additionalProperties": False, "properties": {"rate": _RATE}}


def _wanted(what: str, summary: str, errors: tuple[int, ...] = (), body: Schema | None = None) -> Operation:
    """What is said of a replay that there is."""
    answers = {200: answered("The replay as it is now", _REPLAY), 409: refused("It is completed")}
    return Operation("POST", f"/v1/replays/{{replay}}/{what}", summary, answers, (404, 503, *errors), body=body)


PART = Part(
    (
        Operation(
            "POST",
            "/v1/replays",
            "Run a function for events that lie on Kafka already",
            {201: answered("A new replay", _REPLAY), 200: answered("The one that was asked for before", _REPLAY)},
            (400, 404, 413, 503),
            body=json_body(ref("ReplayRequest")),
        ),
        Operation(
            "GET",
            "/v1/replays",
            "Replays, newest first",
            {200: answered("So many of them", enveloped(array(ref("Replay"))))},
            (400, 503),
            [
                parameter(
                    "query",
                    "limit",
                    "At most so many",
                    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                )
            ],
        ),
        Operation(
            "GET",
            "/v1/replays/{replay}",
            "How far a replay is",
            {200: answered("The replay", _REPLAY)},
            (404, 503),
        ),
        _wanted("pause", "Start nothing more for now"),
        _wanted(
            "resume",
            "Go on where it stopped, also after a cancel or a failure",
            (400, 413),
            json_body(_RESUME, required=False),
        ),
        _wanted("cancel", "End it; what it has started goes on"),
    ),
    _SHAPES,
    {"replay": "The replay's id"},
)
