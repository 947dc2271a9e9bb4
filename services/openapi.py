"""`/openapi.json`: the HTTP API as OpenAPI 3.1, put together from what each room declares of its own part.

Rooms declare operations and shapes as data, beside the handlers that they describe, and know nothing of one another;
here this data takes the form of one document. What SDKs and this server say to each other alone is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

import orjson
from starlette.requests import Request
from starlette.responses import Response

Schema = dict[str, object]

STRING: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ANY: Schema = {"description": "any JSON"}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}

#: What an error of this status means, wherever it is answered.
_ERRORS = {
    400: "What was sent cannot be used; the message says what to write",
    401: "The signing key is missing or unknown",
    404: "Unknown, or not there yet",
    409: "It is there, but this cannot be done with it; the message says why",
    413: "Larger than allowed",
    429: "Too much is on its way already; send it again later",
    503: "Something that is needed does not answer; send it again later",
}
_PASSING = (429, 503)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it takes, what it answers when all is well, and the statuses of its errors."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Schema]
    errors: Sequence[int] = ()
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    #: Asks for the signing key, where the server has one.
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """What one room adds to the document; `names` says what the names in its paths stand for."""

    operations: Sequence[Operation]
    shapes: Mapping[str, Schema]
    names: Mapping[str, str] = field(default_factory=dict)


class Description:
    """The document of all parts, and of itself."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = (*parts, Part((_ITSELF,), {"Error": _ERROR}))

    async def endpoint(self, _request: Request) -> Response:
        return Response(orjson.dumps(self.document()), media_type="application/json")

    def document(self) -> Schema:
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Penstock API",
                "version": metadata.version("penstock"),
                "description": "Events in, functions started, runs and apps managed, replays; and what happened.",
            },
            "paths": self._paths(),
            "components": {
                "schemas": {name: shape for part in self._parts for name, shape in part.shapes.items()},
                "responses": {_error_name(status): _error(status) for status in _ERRORS},
                "securitySchemes": {"signingKey": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{}, {"signingKey": []}],
        }

    def _paths(self) -> Schema:
        """Rooms share paths: one reads what another changes."""
        paths: dict[str, Schema] = {}
        for part in self._parts:
            for one in part.operations:
                paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, part.names)
        return {**paths}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def object_of(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "required": sorted(properties), "properties": properties}


def body_of(required: Sequence[str], **properties: Schema) -> Schema:
    """A JSON object that is sent; without anything required, it need not be sent at all."""
    schema: Schema = {"type": "object", "properties": properties}
    return json_body(schema | {"required": list(required)} if required else schema, bool(required))


def json_body(schema: Schema, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def answered(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def refused(description: str) -> Schema:
    """An error that means something of its own here."""
    return answered(description, ref("Error"))


def enveloped(data: Schema, **more_metadata: Schema) -> Schema:
    """Data with when it was fetched."""
    fetched: Schema = {"fetched_at": TIME, "cached_until": {"type": "null"}, **more_metadata}
    return object_of(data=data, metadata={"type": "object", "required": ["fetched_at"], "properties": fetched})


def parameter(place: str, name: str, description: str, schema: Schema | None = None, required: bool = False) -> Schema:
    shown: Schema = {"name": name, "in": place, "description": description, "schema": schema or STRING}
    return shown | {"required": True} if required else shown


def _operation(one: Operation, names: Mapping[str, str]) -> Schema:
    named = [parameter("path", name, names.get(name, name), required=True) for name in re.findall(r"{(\w+)}", one.path)]
    statuses = sorted({*one.errors, *((401,) if one.guarded else ())} - one.answers.keys())
    errors: Schema = {str(status): {"$ref": f"#/components/responses/{_error_name(status)}"} for status in statuses}
    return {
        "summary": one.summary,
        "operationId": _operation_id(one),
        "parameters": [*named, *one.parameters],
        **({"requestBody": one.body} if one.body is not None else {}),
        "responses": {str(status): answer for status, answer in one.answers.items()} | errors,
        **({} if one.guarded else {"security": []}),
    }


def _operation_id(one: Operation) -> str:
    """Reading is named by the path alone."""
    path = re.sub(r"\W+", "_", one.path).strip("_") or "root"
    return path if one.method == "GET" else f"{one.method.lower()}_{path}"


def _error_name(status: int) -> str:
    return f"Error{status}"


def _error(status: int) -> Schema:
    later: Schema = {"retry-after": {"description": "Seconds to wait", "schema": INTEGER}}
    return refused(_ERRORS[status]) | ({"headers": later} if status in _PASSING else {})


_ERROR: Schema = {
    "type": "object",
    "required": ["error", "status"],
    "properties": {"error": STRING, "status": INTEGER, "data": {"type": "null"}},
}
_ITSELF = Operation("GET", "/openapi.json", "This document", {200: answered("OpenAPI 3.1", OBJECT)})
