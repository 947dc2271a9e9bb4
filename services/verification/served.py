"""The app of a verification: an HTTP server whose functions are programs, and which answers as badly as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ..web import EmbeddedServer
from .usercode import Answer, Call

#: Answers a call, given the id of its run; None breaks the connection in the middle of the answer.
Code = Callable[[Call, str], Awaitable[Answer | None]]


class ServedApps:
    """One path for each app."""

    def __init__(self) -> None:
        self._codes: dict[str, Code] = {}

    def add(self, app: str, code: Code) -> None:
        self._codes[app] = code

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[None]:
        """Answer calls meanwhile."""
        routes = [Route("/{app}", self._call, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), host, port, log_level="critical", lifespan="off")
        server = EmbeddedServer(config)
        running = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([running], timeout=5.0)

    async def _call(self, request: Request) -> Response:
        code = self._codes.get(request.path_params["app"])
        if code is None:
            return Response("there is no such app", 404)
        call, run_id = _read(request, await request.body())
        answer = await code(call, run_id)
        if answer is None:
            return StreamingResponse(_broken(), 206, {"content-length": "1000"})
        return Response(answer.body, answer.status, dict(answer.headers))


def registration(app: str, url: str, functions: list[dict[str, object]]) -> dict[str, object]:
    """What an SDK sends to register an app."""
    return {
        "url": url,
        "deployType": "ping",
        "framework": "verify",
        "appName": app,
        "sdk": "py:v0",
        "v": "0.1",
        "functions": functions,
    }


def _read(request: Request, body: bytes) -> tuple[Call, str]:
    sent = orjson.loads(body)
    memory = {step: orjson.dumps(result).decode() for step, result in sent["steps"].items()}
    number = int(request.query_params["fnId"].rsplit("-f", 1)[1])
    context = sent["ctx"]
    k = sent["event"]["data"]["k"]
    return Call(number, k, request.query_params["stepId"], context["attempt"], memory), context["run_id"]


async def _broken() -> AsyncIterator[bytes]:
    yield b'[{"op":"StepRun","id":"'
    raise ConnectionError("broken on purpose")
