"""What an SDK asks of its server while a world is open: to take events, to hand out a run's state, to register an app.

The requests never leave the process: `Interception` answers them where httpx would open a connection. An SDK tells
itself by a header; requests of user code to anybody else go where they went before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import ClassVar
from unittest.mock import patch

import httpx
import orjson

from ..errors import InvalidInput, PenstockError
from ..expressions.expression import compile_expression
from ..functions.registration import Registration, parse_registration
from ..ingest.events import Seed, read_events
from ..messages.ids import RunId, app_uuid
from ..messages.records import Event
from ..runs.run import Run

SDK_HEADER = "x-inngest-sdk"
SERVER_KIND = "x-inngest-server-kind"


class ServerSide:
    """Answers SDKs, from any thread. What they hand in waits in `sent` and `registered` for the world to take."""

    def __init__(self, load: Callable[[RunId], Run | None], now: Callable[[], int], kind: str) -> None:
        self.sent: list[Event] = []
        self.registered: list[Registration] = []
        self._load = load
        self._now = now
        self._kind = kind
        self._requests = 0
        self._lock = threading.Lock()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The answer to an SDK's request; one that a world has no use for is refused with a word about that."""
        try:
            status, content = self._content(request.method, request.url.path.rstrip("/"), request.content)
        except InvalidInput as error:
            status, content = 400, {"error": str(error), "status": 400}
        return httpx.Response(status, json=content, headers={SERVER_KIND: self._kind}, request=request)

    def take(self, body: bytes) -> list[Event]:
        """Read events as `POST /e/` does; the same requests in the same order give the same ids."""
        found = read_events(body, self.next_seed(), self._now())
        if found.error is not None:
            raise InvalidInput(found.error)
        return found.events

    def next_seed(self) -> Seed:
        """Where the ids of one more request come from."""
        with self._lock:
            self._requests += 1
            return Seed(self._now(), self._requests.to_bytes(6, "big") + bytes(4))

    def _content(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        match method, path.split("/")[1:]:
            case "POST", ["e", _]:
                events = self.take(body)
                self.sent += events
                return 200, {"ids": [event.internal_id for event in events], "status": 200}
            case "POST", ["fn", "register"]:
                wanted = parse_registration(body, compile_expression)
                self.registered.append(wanted)
                return 200, {"ok": True, "modified": True, "app_id": str(app_uuid(wanted.app))}
            case "GET", ["v0", "runs", run_id, ("actions" | "batch") as what]:
                return self._state(RunId(run_id), what)
            case _:
                return 404, {"error": f"{method} {path} is not answered in a test world", "status": 404}

    def _state(self, run_id: RunId, what: str) -> tuple[int, object]:
        run = self._load(run_id)
        if run is None or run.ended is not None:
            return 410, {"error": "the run has ended or is unknown", "status": 410}
        if what == "batch":
            return 200, [orjson.loads(event) for event in run.started.events]
        return 200, {step: orjson.loads(result.output) for step, result in run.steps.items()}


class Interception:
    """While open, what SDKs in this process send to their server is answered by `answer`. One at a time."""

    _open: ClassVar[bool] = False

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self._patches = ExitStack()

    def open(self) -> None:
        if Interception._open:
            raise PenstockError("another world is open in this process: leave it before you enter the next")
        Interception._open = True
        self._patches.enter_context(patch.object(httpx.AsyncHTTPTransport, "handle_async_request", self._async()))
        self._patches.enter_context(patch.object(httpx.HTTPTransport, "handle_request", self._sync()))

    def close(self) -> None:
        self._patches.close()
        Interception._open = False

    def _async(self) -> Callable[[httpx.AsyncHTTPTransport, httpx.Request], object]:
        original, answer = httpx.AsyncHTTPTransport.handle_async_request, self._answer

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            if SDK_HEADER not in request.headers:
                return await original(transport, request)
            await request.aread()
            return answer(request)

        return handle

    def _sync(self) -> Callable[[httpx.HTTPTransport, httpx.Request], object]:
        original, answer = httpx.HTTPTransport.handle_request, self._answer

        def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            if SDK_HEADER not in request.headers:
                return original(transport, request)
            request.read()
            return answer(request)

        return handle
