"""How this server answers in JSON, and how errors become answers: always with what to do next."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import ClassVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import InvalidInput, LimitExceeded, Overloaded, PenstockError, Unavailable

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1
_HINT = "events go to POST /e/<event key>, apps register at POST /fn/register, GET /health tells how things are"


def answer(status: int, content: object) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def enveloped(data: object, now: int) -> Response:
    """Success as `/v1` and `/v2` say it; `now` is in ms since 1970."""
    return answer(200, {"data": data, "metadata": {"fetched_at": timestamp(now), "cached_until": None}})


def timestamp(millis: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error_answer(status: int, message: str) -> Response:
    """An error as SDKs read it; one that may pass carries the time to wait."""
    response = answer(status, {"error": message, "status": status})
    if status in (429, 503):
        response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return response


def status_of(error: PenstockError) -> int:
    """The HTTP status that says what kind of error it is."""
    match error:
        case Overloaded():
            return 429
        case Unavailable():
            return 503
        case LimitExceeded():
            return 413
        case InvalidInput():
            return 400
        case _:
            return 500


async def on_penstock_error(_request: Request, error: Exception) -> Response:
    status = status_of(error) if isinstance(error, PenstockError) else 500
    return error_answer(status, str(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Unknown routes and methods, with a word about the known ones."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = f"{request.method} {request.url.path[:200]}"
    if status == 404:
        return error_answer(404, f"{what} is not known here; {_HINT}")
    if status == 405:
        response = error_answer(405, f"{what} is not allowed; {_HINT}")
        response.headers.update((error.headers if isinstance(error, HTTPException) else None) or {})
        return response
    return error_answer(status, str(getattr(error, "detail", error)))


async def on_sender_gone(_request: Request, _error: Exception) -> Response:
    """Nobody reads this answer; the connection is closed."""
    return error_answer(400, "the connection was closed before the request was complete")


async def on_bug(request: Request, error: Exception) -> Response:
    """The traceback goes to the log only."""
    log.error("%s %s failed", request.method, request.url.path[:200], exc_info=error)
    return error_answer(500, "internal error; the server's log says more")


class ServerKind:
    """Middleware: every response says whether this is a dev or a cloud server; SDKs refuse the other kind."""

    HEADER: ClassVar[bytes] = b"x-inngest-server-kind"

    def __init__(self, app: ASGIApp, kind: str) -> None:
        self._app = app
        self._header = (self.HEADER, kind.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_kind(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._header]
            await send(message)

        await self._app(scope, receive, send_with_kind if scope["type"] == "http" else send)
