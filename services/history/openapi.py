"""The read API in `/openapi.json`, made of the same declarations that serve it."""

from __future__ import annotations

from collections.abc import Sequence

from ..openapi import (
    FLAG,
    OBJECT,
    STRING,
    TEXT_OR_NULL,
    Operation,
    Part,
    Schema,
    answered,
    array,
    body_of,
    enveloped,
    parameter,
    ref,
)
from .endpoints import Declared
from .schemas import PARAMETERS, SHAPES


def part(declared: Sequence[Declared]) -> Part:
    """The declared endpoints, and those that answer in a form of their own."""
    return Part((*map(_operation, declared), _LIVE, _GRAPHQL), SHAPES)


def _operation(one: Declared) -> Operation:
    return Operation(
        "GET",
        one.path,
        one.summary,
        {200: answered("The answer in its envelope", _envelope(one))},
        (400, 404, 503) if "{" in one.path else (400, 503),
        [_query(name) for name in one.parameters],
    )


def _envelope(one: Declared) -> Schema:
    data = array(ref(one.shape)) if one.many else ref(one.shape)
    return enveloped(data, next_cursor=TEXT_OR_NULL, complete=FLAG) if "cursor" in one.parameters else enveloped(data)


def _query(name: str) -> Schema:
    return {"name": name, "in": "query", **PARAMETERS[name]}


_LIVE = Operation(
    "GET",
    "/v1/live",
    "What changes, as server-sent events: `changed` with ids, `refresh` when some were missed",
    {200: {"description": "The stream", "content": {"text/event-stream": {}}}},
    (400, 503),
    [_query("after"), parameter("header", "Last-Event-ID", "The same as `after`; browsers send it")],
)
_GRAPHQL = Operation(
    "POST",
    "/v0/gql",
    "GraphQL",
    {200: answered("Data, errors, or both", OBJECT)},
    (400, 413, 503),
    body=body_of(["query"], query=STRING, variables=OBJECT),
)
