"""`/openapi.json`: the read API as OpenAPI 3.1, made of the same declarations that serve it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata

from starlette.requests import Request
from starlette.responses import Response

from .endpoints import Declared, json_response
from .schemas import PARAMETERS, SHAPES

Json = dict[str, object]


class Description:
    """The document of the declared endpoints."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        self._declared = declared

    async def endpoint(self, _request: Request) -> Response:
        return json_response(200, self.document())

    def document(self) -> Json:
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Penstock read API",
                "version": metadata.version("penstock"),
                "description": "What happened: events, runs, functions, waits, dead letters. GraphQL is at /v0/gql.",
            },
            "paths": {**{one.path: {"get": _operation(one)} for one in self._declared}, **_OTHERS},
            "components": {
                "schemas": {**SHAPES, "Error": _ERROR},
                "securitySchemes": {"signingKey": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{}, {"signingKey": []}],
        }


def _operation(one: Declared) -> Json:
    named = re.findall(r"{(\w+)}", one.path)
    path: list[Json] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named]
    query: list[Json] = [{"name": name, "in": "query", **PARAMETERS[name]} for name in one.parameters]
    return {
        "summary": one.summary,
        "operationId": re.sub(r"\W+", "_", one.path).strip("_"),
        "parameters": path + query,
        "responses": {
            "200": _content("The answer in its envelope", _envelope(one)),
            "400": _content("What was asked cannot be used; the message says what to write", _ref("Error")),
            **({"404": _content("Unknown, or not there yet", _ref("Error"))} if named else {}),
            "503": _content("The history database does not answer; ask again", _ref("Error")),
        },
    }


def _envelope(one: Declared) -> Json:
    data = {"type": "array", "items": _ref(one.shape)} if one.many else _ref(one.shape)
    fetched: Json = {"fetched_at": {"type": "string", "format": "date-time"}}
    if "cursor" in one.parameters:
        fetched |= {"next_cursor": {"type": ["string", "null"]}, "complete": {"type": "boolean"}}
    metadata_shape = {"type": "object", "properties": fetched}
    return {"type": "object", "required": ["data"], "properties": {"data": data, "metadata": metadata_shape}}


def _content(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_ERROR: Json = {
    "type": "object",
    "required": ["error", "status"],
    "properties": {"error": {"type": "string"}, "status": {"type": "integer"}, "data": {"type": "null"}},
}
_OTHERS: Json = {
    "/v1/live": {
        "get": {
            "summary": "What changes, as server-sent events: `changed` with ids, `refresh` when some were missed",
            "operationId": "v1_live",
            "parameters": [
                {"name": "after", "in": "query", **PARAMETERS["after"]},
                {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
            ],
            "responses": {"200": {"description": "The stream", "content": {"text/event-stream": {}}}},
        }
    },
    "/v0/gql": {
        "post": {
            "summary": "GraphQL",
            "operationId": "v0_gql",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["query"],
                            "properties": {"query": {"type": "string"}, "variables": {"type": "object"}},
                        }
                    }
                },
            },
            "responses": {"200": {"description": "Data, errors, or both", "content": {"application/json": {}}}},
        }
    },
}
