"""`POST /v0/gql`: GraphQL over the read model, bounded in size, depth and cost.

An answer is 200 also when it holds errors, as the protocol says; `data` is null for a run that is unknown. What only
GraphQL needs is imported with the first request.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..errors import PenstockError, Unavailable
from .endpoints import failure, json_response
from .read import HistoryReadModel

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
_SHAPE = 'send JSON such as {"query": "{ functions { id } }", "variables": {}}'


class GraphQL:
    """Answers queries; each in a thread of its own."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._model = model

    async def endpoint(self, request: Request) -> Response:
        try:
            body = await _body(request)
        except ClientDisconnect:
            return failure(400, "the request ended before its body did")
        if body is None:
            return failure(413, f"a query may have {MAX_BODY_BYTES} bytes")
        query, variables, problem = _asked(body)
        if problem:
            return failure(400, problem)
        try:
            return json_response(200, await asyncio.to_thread(self._answer, query, variables))
        except Unavailable as error:
            return failure(503, str(error), {"retry-after": "1"})

    @cached_property
    def _schema(self) -> Any:
        from .graph import schema

        return schema(self._model)

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, object]:
        from graphql import ExecutionResult, GraphQLError, execute_sync, parse, validate

        from .graph_bounds import MAX_TOKENS, check_bounds

        try:
            document = parse(query, max_tokens=MAX_TOKENS)
            problems = validate(self._schema, document)
            if problems:
                return {"data": None, "errors": [problem.formatted for problem in problems]}
            check_bounds(document, variables)
        except GraphQLError as error:
            return {"data": None, "errors": [error.formatted]}
        except (PenstockError, RecursionError) as error:
            return {"data": None, "errors": [{"message": str(error)}]}
        found = execute_sync(self._schema, document, variable_values=variables)
        if not isinstance(found, ExecutionResult):
            raise TypeError("a query gave no result")
        return _told(found.data, found.errors or [])


def _told(data: Any, errors: Any) -> dict[str, object]:
    """The answer; what only we can mend is logged, and not shown."""
    told = []
    for error in errors:
        cause = error.original_error
        if isinstance(cause, Unavailable):
            raise cause
        shown = dict(error.formatted)
        if cause is not None and not isinstance(cause, PenstockError):
            log.error("graphql: %s", error, exc_info=cause)
            shown["message"] = "the server failed on this field; its log says why"
        told.append(shown)
    return {"data": data, "errors": told} if told else {"data": data}


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _asked(body: bytes) -> tuple[str, dict[str, Any], str]:
    """Query, variables, and what is wrong with them."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return "", {}, f"the body is no JSON ({error}): {_SHAPE}"
    if not isinstance(content, dict) or not isinstance(content.get("query"), str):
        return "", {}, f"the body has no query: {_SHAPE}"
    variables = content.get("variables") or {}
    if not isinstance(variables, dict):
        return "", {}, f"variables must be an object: {_SHAPE}"
    return content["query"], variables, ""
