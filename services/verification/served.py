"""The app of a verification: an HTTP server whose functions are programs, and which answers as badly as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..web import EmbeddedServer, configured
from .programs import RETRIES
from .usercode import Answer, Call, UserCode


@dataclass(frozen=True, slots=True)
class App:
    """`answer` answers a call, given the id of its run; None breaks the connection in the middle of the answer.

    `register` tells the server about the app, when the server asks for it.
    """

    answer: Callable[[Call, str], Awaitable[Answer | None]]
    register: Callable[[], Awaitable[None]]


class ServedApps:
    """One path for each app."""

    def __init__(self) -> None:
        self._apps: dict[str, App] = {}

    def add(self, name: str, app: App) -> None:
        self._apps[name] = app

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[None]:
        """Answer calls meanwhile."""
        routes = [
            Route("/{app}", self._call, methods=["POST"]),
            Route("/{app}", self._sync, methods=["PUT"]),
        ]
        config = configured(Starlette(routes=routes))
        config.host, config.port = host, port
        config.log_level = "critical"  # answers that are broken off are no news
        config.configure_logging()
        server = EmbeddedServer(config)
        running = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([running], timeout=5.0)

    async def _call(self, request: Request) -> Response:
        app = self._apps.get(request.path_params["app"])
        if app is None:
            return Response("there is no such app", 404)
        call, run_id = _read(request, await request.body())
        answer = await app.answer(call, run_id)
        if answer is None:
            return StreamingResponse(_broken(), 206, {"content-length": "1000"})
        return Response(answer.body, answer.status, dict(answer.headers))

    async def _sync(self, request: Request) -> Response:
        app = self._apps.get(request.path_params["app"])
        if app is None:
            return Response("there is no such app", 404)
        await app.register()
        return JSONResponse({"message": "Successfully registered", "modified": False})


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


def functions_of(code: UserCode, url: str) -> list[dict[str, object]]:
    """The functions of an app that is served at the URL, as SDKs describe them."""
    return [_function(code, program.number, program.cancellable, url) for program in code.programs]


def _function(code: UserCode, number: int, cancellable: bool, url: str) -> dict[str, object]:
    slug = code.slug(number)
    runtime = {"type": "http", "url": f"{url}?fnId={slug}&stepId=step"}
    cancel = {"cancel": [{"event": code.stop, "if": "async.data.k == event.data.k"}]} if cancellable else {}
    return {
        "id": slug,
        "name": slug,
        "triggers": [{"event": code.trigger(number)}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": RETRIES}}},
        **cancel,
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
