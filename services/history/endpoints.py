"""Declared once, served and described: an endpoint of the read API, its envelope, and its errors."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import InvalidInput, Unavailable
from .paging import Counted, Listed
from .shapes import Shape, timestamp

Endpoint = Callable[[Request], Awaitable[Response]]
NOT_YET = "history follows the topics by a moment: if it is new, ask again"


class NotFound(Exception):
    """Answered with 404; says what was looked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes into the envelope: data, and what its metadata says besides when it was fetched."""

    data: object
    metadata: Shape = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """An endpoint: where, what, by which parameters, and how its data looks (`schemas.py` names the shapes)."""

    path: str
    answer: Callable[[Request], Awaitable[Answer]]
    summary: str
    shape: str
    many: bool = False
    parameters: tuple[str, ...] = ()

    def route(self) -> Route:
        return Route(self.path, enveloped(self.answer), methods=["GET"])


def listed(page: Listed, shape: Callable[..., Shape]) -> Answer:
    """A page of a list, with how to go on."""
    metadata: Shape = {"next_cursor": page.next_cursor or None, "complete": page.complete}
    return Answer([shape(row) for row in page.rows], metadata)


def counted(found: Counted) -> Shape:
    return {"count": found.count, "exact": found.exact}


def enveloped(answer: Callable[[Request], Awaitable[Answer]]) -> Endpoint:
    """The answer as JSON, or the error as JSON; see the status codes below."""

    async def endpoint(request: Request) -> Response:
        try:
            found = await answer(request)
        except NotFound as error:
            return failure(404, str(error))
        except InvalidInput as error:
            return failure(400, str(error))
        except Unavailable as error:
            return failure(503, str(error), {"retry-after": "1"})
        fetched_at = timestamp(time.time_ns() // 1_000_000)
        metadata = {"fetched_at": fetched_at, "cached_until": None} | found.metadata
        return json_response(200, {"data": found.data, "metadata": metadata})

    return endpoint


def json_response(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return json_response(status, {"error": message, "status": status, "data": None}, headers)
