"""What ingest answers, for `/openapi.json`: events, functions by name, signals, runs, cancellations, apps, health.

A test holds it against the routes and their answers. Not in it is what only SDKs and the server say to each other:
checkpoints, the state of a call, traces, the dev server's table of contents.
"""

from __future__ import annotations

from ..messages.incoming import MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS, MAX_VERSION_CHARACTERS
from ..openapi import (
    ANY,
    FLAG,
    INTEGER,
    OBJECT,
    STRING,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Operation,
    Part,
    Schema,
    answered,
    array,
    body_of,
    enveloped,
    json_body,
    object_of,
    parameter,
    ref,
    refused,
)
from . import event_api, invoke_api, repeat_api, signal_api
from .events import MAX_EVENTS

_UUID: Schema = {"type": "string", "format": "uuid"}
_CONDITION: Schema = {"type": ["string", "null"], "description": "A CEL condition over `event`"}
_OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
_INVOCATION: dict[str, Schema] = {
    "data": _OBJECT_OR_NULL,
    "user": _OBJECT_OR_NULL,
    "id": {"type": ["string", "null"], "maxLength": MAX_ID_CHARACTERS, "description": "The same id within a day: once"},
    "ts": {"type": ["integer", "null"], "description": "When it happened, in ms since 1970; now, where it is not said"},
    "v": {"type": ["string", "null"], "maxLength": MAX_VERSION_CHARACTERS},
}

_SHAPES: dict[str, Schema] = {
    "NewEvent": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS}, **_INVOCATION},
    },
    "Invocation": {"type": "object", "properties": _INVOCATION, "description": "An event without a name"},
    "EventsTaken": object_of(ids=array(STRING), status=INTEGER),
    "EventsRefused": {
        **object_of(ids=array(STRING), status=INTEGER, error=STRING),
        "description": "Events whose ids are here were taken nevertheless: those before the first bad one",
    },
    "Cancellation": object_of(
        id=STRING,
        environment_id=_UUID,
        app_id=_UUID,
        function_id=STRING,
        function_internal_id=_UUID,
        started_after=TIME_OR_NULL,
        started_before=TIME,
        kind=STRING,
        name={"type": "null"},
        created_at=TIME,
        **{"if": TEXT_OR_NULL},
    ),
    "RegisteredFunction": object_of(
        internal_id=_UUID,
        env_id=_UUID,
        app_id=_UUID,
        id=STRING,
        name=STRING,
        version=INTEGER,
        url=STRING,
        config={"type": "object", "description": "What the app has registered"},
        created_at=TIME,
        archived_at={"type": "null"},
    ),
}
_SEED = parameter(
    "header",
    event_api.SEED_HEADER,
    "`<milliseconds>,<base64 of 10 bytes>`: sent again with the same seed, the request does nothing more",
)
_WRITING = (400, 413, 429, 503)


def _refused_events(description: str) -> Schema:
    return answered(description, ref("EventsRefused"))


def _key(description: str, most: int) -> Schema:
    return {"type": ["string", "null"], "maxLength": most, "description": description}


_STARTING = (
    Operation(
        "POST",
        f"{event_api.PREFIX}{{key}}",
        "Send events; answered when Kafka has all of them",
        {
            200: answered("Taken", ref("EventsTaken")),
            400: _refused_events("An event cannot be used; the message says which, and why"),
            401: _refused_events("The event key is missing or unknown"),
            413: _refused_events("Larger than allowed"),
            429: _refused_events("Too much is on its way already; send it again later"),
            503: _refused_events("Kafka does not answer; send it again later"),
        },
        parameters=[_SEED],
        body=json_body({"oneOf": [ref("NewEvent"), {**array(ref("NewEvent")), "maxItems": MAX_EVENTS}]}),
        guarded=False,
    ),
    Operation(
        "POST",
        "/invoke/{slug}",
        "Start one function; answered when Kafka has the command",
        {200: answered("The event that tells of it", object_of(id=STRING, status=INTEGER))},
        (*_WRITING, 404),
        [_SEED],
        json_body(ref("Invocation"), required=False),
    ),
    Operation(
        "POST",
        "/v2/apps/{app}/functions/{function}/invoke",
        "Start one function; with an idempotency key, once a day for each key",
        {200: answered("The run, new or started before", enveloped(object_of(run_id=STRING, queued_at=TIME)))},
        (*_WRITING, 404),
        [_SEED],
        body_of(
            (),
            data=_OBJECT_OR_NULL,
            idempotency_key=_key("The same key within a day gives the same run", invoke_api.MAX_KEY_CHARACTERS),
        ),
    ),
    Operation(
        "POST",
        "/v1/signals",
        "Send a signal; answered when the run that waits for it has it",
        {
            200: answered("The run that waited", enveloped(object_of(run_id=STRING))),
            404: refused("No run waits for it; it is not kept for later"),
        },
        _WRITING,
        body=body_of(
            ["signal"],
            signal={"type": "string", "minLength": 1, "maxLength": signal_api.MAX_SIGNAL_CHARACTERS},
            data=ANY,
        ),
    ),
)
_RUNS = (
    Operation(
        "DELETE",
        "/v1/runs/{run_id}",
        "Cancel a run; answered when that is committed",
        {200: answered("How it ended", object_of(status=STRING)), 409: refused("It has ended already")},
        (400, 404, 503),
    ),
    Operation(
        "DELETE",
        "/v0/runs/{run_id}",
        "Cancel a run, as older clients do",
        {204: {"description": "It is cancelled"}, 409: refused("It has ended already")},
        (400, 404, 503),
    ),
    Operation(
        "POST",
        "/v1/runs/{run_id}/rerun",
        "Run its function again, as it is now, with its events",
        {
            201: answered("The new run", object_of(data=object_of(run_id=STRING, rerun_of=STRING))),
            409: refused("Its function is not registered (any more)"),
        },
        (*_WRITING, 404),
        body=body_of(
            (),
            from_step=_key("A finished step's `id`: it and what came after run again", repeat_api.MAX_STEP_CHARACTERS),
            idempotency_key=_key("The same key gives the same new run", repeat_api.MAX_KEY_CHARACTERS),
        ),
    ),
    Operation(
        "POST",
        "/v1/dead-letters/{letter_id}/resend",
        "Send a record again that could not be used, to the topic that it came from",
        {
            202: answered("It is on Kafka", object_of(data=object_of(topic=STRING))),
            409: refused("Records of its topic are made by the system"),
        },
        (*_WRITING, 404),
        body=body_of((), value={"type": ["string", "null"], "description": "Its new value; as it lay, if not given"}),
    ),
)
_CANCELLATIONS = (
    Operation(
        "POST",
        "/v1/cancellations",
        "Cancel a function's runs by when they started, and by their event",
        {
            200: answered(
                "Noted; it is applied to live runs and to those that start later", enveloped(ref("Cancellation"))
            )
        },
        (*_WRITING, 404),
        body=body_of(
            ["app_id", "function_id", "started_before"],
            app_id={"type": "string", "minLength": 1, "description": "The app's name"},
            function_id={"type": "string", "minLength": 1, "description": "With or without the app's name before it"},
            started_after=TIME_OR_NULL,
            started_before=TIME,
            **{"if": _CONDITION},
        ),
    ),
    Operation(
        "GET",
        "/v1/cancellations",
        "Cancellations, newest first",
        {200: answered("All of them", enveloped(array(ref("Cancellation"))))},
    ),
    Operation(
        "DELETE",
        "/v1/cancellations/{id}",
        "Apply it to no further run; what it has cancelled stays so",
        {200: answered("It is taken back", enveloped(object_of(ok=FLAG)))},
        (400, 404, 503),
    ),
)
_APPS = (
    Operation(
        "POST",
        "/v1/apps/{app}/sync",
        "Ask an app for its functions now",
        {
            200: answered(
                "The app was asked; `error` says what went wrong",
                object_of(data=object_of(app=STRING, url=STRING, error=TEXT_OR_NULL)),
            ),
            409: refused("It has no URL to be asked at: it registers by itself"),
        },
        (404,),
    ),
    Operation(
        "GET",
        "/v1/apps/{app}/functions",
        "What an app has registered, by slug",
        {200: answered("A bare array", array(ref("RegisteredFunction")))},
        (404,),
    ),
    Operation(
        "POST",
        "/fn/register",
        "Register an app with all its functions, as SDKs do; what it does not name any more is archived",
        {200: answered("The next event finds them", object_of(ok=FLAG, modified=FLAG, app_id=_UUID, sync_id=_UUID))},
        _WRITING,
        [
            parameter(
                "header",
                "x-inngest-expected-server-kind",
                "Refused by a server of the other kind",
                {"enum": ["dev", "cloud"]},
            )
        ],
        body_of(
            ["appName", "url", "functions"],
            appName={"type": "string", "description": "Keys may be in any case"},
            url={"type": "string", "format": "uri"},
            functions=array(OBJECT),
            sdk=STRING,
            framework=STRING,
        ),
    ),
    Operation(
        "DELETE",
        "/fn/remove",
        "Forget the apps that are served at a URL",
        {200: answered("They are forgotten", object_of(ok=FLAG))},
        (400, 404, 503),
        [parameter("query", "url", "The app's URL", required=True)],
    ),
)
_STATUS = (
    Operation(
        "GET",
        "/",
        "What this is",
        {
            200: answered("For programs", object_of(name=STRING, version=STRING, mode={"enum": ["dev", "cloud"]})),
            303: {"description": "For browsers: on to the dashboard"},
        },
        guarded=False,
    ),
    Operation(
        "GET",
        "/health",
        "Can events be taken in?",
        {200: answered("Yes", object_of(status=INTEGER, message=STRING)), 503: refused("No; the message says why not")},
        guarded=False,
    ),
)

PART = Part(
    (*_STARTING, *_RUNS, *_CANCELLATIONS, *_APPS, *_STATUS),
    _SHAPES,
    {
        "key": "An event key; any, in development",
        "slug": "The function's id as its app registered it (`app-function`), its UUID, or `app/app-function`",
        "app": "The app's name",
        "function": "The function's id, with or without the app's name before it, or its UUID",
        "run_id": "The run's id, of 26 characters",
        "letter_id": "The dead letter's id",
        "id": "The cancellation's id",
    },
)
