"""A very cheap app that speaks the SDK protocol: functions of one and of three sequential steps,
one that waits for an event, and for the soak one that sleeps, one whose step fails once, and one that fails for good.

    python -m benchmarks.app --port 3939 --server http://127.0.0.1:8288

It does what an SDK does and nothing else, so that the server's costs are what is measured: looks which steps the call
remembers, runs the next one, answers 206 with its result, or 200 when none is left. What it records is fetched from
`/control/calls`; `/control/ended` says how many runs have ended, `/control/waiting` how many have come to their wait.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast
from urllib.parse import parse_qs

import httptools
import httpx
import orjson
import uvloop

from .trace import FINAL, Rows

APP = "penstock-bench"
PATH = "/api/inngest"
SDK = "py:v0.5.0"
#: Function name → hashed step ids in order, as the SDKs hash them.
STEPS = {
    name: tuple(hashlib.sha1(f"step-{number}".encode()).hexdigest() for number in range(count))
    for name, count in (("one", 1), ("three", 3), ("wait", 1), ("sleep", 1), ("retry", 1), ("fail", 1))
}
#: The function whose only step is a wait, for the event with its run's own number.
WAITING = "wait"
RESUME = "bench/resume"
SLEEP = "2s"
_FAILED = {"name": "Error", "message": "it is meant to fail"}
_REASONS = {
    200: "OK",
    206: "Partial Content",
    400: "Bad Request",
    404: "Not Found",
    500: "Internal Server Error",
}


def slug(function: str) -> str:
    return f"{APP}-{function}"


def event_name(function: str) -> str:
    return f"bench/{function}"


def registration(url: str) -> dict[str, Any]:
    """The body of `/fn/register` (protocol §3.2)."""
    return {
        "url": url,
        "deployType": "ping",
        "framework": "bench",
        "appName": APP,
        "sdk": SDK,
        "v": "0.1",
        "capabilities": {},
        "functions": [_function(url, name) for name in STEPS],
    }


def _function(url: str, name: str) -> dict[str, Any]:
    runtime = {"type": "http", "url": f"{url}?fnId={slug(name)}&stepId=step"}
    return {
        "id": slug(name),
        "name": name,
        "triggers": [{"event": event_name(name)}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": 4}}},
    }


def next_step(function: str, target: str, call: dict[str, Any]) -> int | None:
    """Number of the step to run: the targeted one, else the first that the call does not remember."""
    steps = STEPS[function]
    if target in steps:
        return steps.index(target)
    remembered = call["steps"]
    return next((number for number, step in enumerate(steps) if step not in remembered), None)


def answer(function: str, step: int | None, planning: bool, attempt: int = 0) -> tuple[int, bytes]:
    """Status and body of the reply (protocol §5)."""
    if step is None:
        return 200, b'"done"'
    if function == "fail":
        return 500, orjson.dumps(_FAILED)
    name = f"step-{step}"
    operation: dict[str, Any] = {"id": STEPS[function][step], "name": name, "displayName": name, "opts": {}}
    if function == WAITING:
        opts = {"if": "async.data.n == event.data.n", "timeout": "1h"}
        return 206, orjson.dumps([operation | {"op": "WaitForEvent", "name": RESUME, "opts": opts}])
    if function == "sleep":
        return 206, orjson.dumps([operation | {"op": "Sleep", "name": SLEEP}])
    if function == "retry" and attempt == 0 and not planning:
        return 206, orjson.dumps([operation | {"op": "StepError", "error": _FAILED}])
    operation |= {"op": "StepPlanned"} if planning else {"op": "StepRun", "data": {"step": step}}
    return 206, orjson.dumps([operation])


class App:
    """What all connections share: the records, and where to register."""

    def __init__(self, url: str, server: str, delay_seconds: float = 0.0) -> None:
        self.url = url
        self.delay_seconds = delay_seconds
        self.calls = Rows(4)
        self.ended: set[int] = set()
        self.waiting: set[int] = set()
        self._server = server

    def call(self, query: str, body: bytes, received: int, reply: Callable[[int, bytes], None]) -> None:
        """Answer a call of user code and note when."""
        fields = parse_qs(query)
        function = fields.get("fnId", [""])[0].removeprefix(f"{APP}-")
        if function not in STEPS:
            return reply(404, b'{"name":"Error","message":"no such function"}')
        call = orjson.loads(body)
        if call["use_api"]:
            return reply(500, b'{"name":"Error","message":"this app keeps no state that needs use_api"}')
        target = fields.get("stepId", ["step"])[0]
        step = next_step(function, target, call)
        planning = target == "step" and bool(call["ctx"].get("disable_immediate_execution"))
        attempt = call["ctx"].get("attempt", 0)
        reply(*answer(function, step, planning, attempt))
        if function == "fail" and attempt + 1 >= call["ctx"].get("max_attempts", 1):
            self.ended.add(call["event"]["data"]["n"])
        if function == WAITING and step is not None:
            self.waiting.add(call["event"]["data"]["n"])
        self._note(call["event"]["data"]["n"], step, planning, received)
        return None

    async def register(self, expected_kind: str) -> tuple[int, bytes]:
        """What an SDK does on PUT: post its functions, pass the answer back."""
        headers = {"x-inngest-sdk": f"inngest-{SDK}", "x-inngest-framework": "bench"}
        if expected_kind:
            headers["x-inngest-expected-server-kind"] = expected_kind
        async with httpx.AsyncClient(timeout=30) as client:
            answered = await client.post(f"{self._server}/fn/register", json=registration(self.url), headers=headers)
        return answered.status_code, answered.content

    def in_band(self) -> bytes:
        """What an SDK answers when the server wants the functions in the reply (protocol §3.1)."""
        described = registration(self.url) | {"app_id": APP, "env": None, "inspection": {}, "platform": None}
        return orjson.dumps(
            described | {"sdk_author": "penstock", "sdk_language": "py", "sdk_version": SDK.split("v")[-1]}
        )

    def _note(self, event: int, step: int | None, planning: bool, received: int) -> None:
        if planning:
            return
        self.calls.add(event, FINAL if step is None else step, received, time.monotonic_ns())
        if step is None:
            self.ended.add(event)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in the order they came."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has its own classes
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url = b""
        self._body: list[bytes] = []
        self._kind = self._sync_kind = ""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"x-inngest-server-kind":
            self._kind = value.decode("latin-1")
        elif lowered == b"x-inngest-sync-kind":
            self._sync_kind = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        received = time.monotonic_ns()
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method()
        if method == b"POST" and path == PATH and self._app.delay_seconds:
            body = b"".join(self._body)
            asyncio.get_running_loop().call_later(self._app.delay_seconds, self._call, query, body, received)
        elif method == b"POST" and path == PATH:
            self._call(query, b"".join(self._body), received)
        elif method == b"PUT" and path == PATH:
            self._sync()
        else:
            self._reply(*self._look(method, path))

    def _call(self, query: str, body: bytes, received: int) -> None:
        try:
            self._app.call(query, body, received, self._reply)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            message = f"not a call as the protocol has it: {error!r}"
            self._reply(400, orjson.dumps({"name": "Error", "message": message}))

    def _sync(self) -> None:
        if self._sync_kind.lower().replace("-", "_") == "in_band":
            self._reply(200, self._app.in_band(), b"x-inngest-sync-kind: in_band\r\n")
        else:
            self._later(self._register(self._kind))

    async def _register(self, kind: str) -> None:
        try:
            self._reply(*await self._app.register(kind))
        except httpx.HTTPError as error:
            self._reply(500, orjson.dumps({"message": f"cannot register: {error!r}"}))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _look(self, method: bytes, path: str) -> tuple[int, bytes]:
        if method != b"GET":
            return 404, b"{}"
        if path == PATH:
            shape = {"schema_version": "2024-05-24", "function_count": len(STEPS), "mode": "dev"}
            return 200, orjson.dumps(
                shape | {"has_event_key": False, "has_signing_key": False, "has_signing_key_fallback": False}
            )
        if path == "/control/ended":
            return 200, b"%d" % len(self._app.ended)
        if path == "/control/waiting":
            return 200, b"%d" % len(self._app.waiting)
        if path == "/control/forget":
            self._app.calls.take()
            return 200, b"{}"
        if path == "/control/calls":
            self._app.ended.clear()
            self._app.waiting.clear()
            return 200, self._app.calls.take()
        return 404, b"{}"

    def _reply(self, status: int, body: bytes, more_headers: bytes = b"") -> None:
        if self._transport.is_closing():
            return  # whoever asked is gone; what was done meanwhile is done
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Answer')}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-inngest-sdk: inngest-{SDK}\r\nx-inngest-req-version: 2\r\n"
        )
        self._transport.write(head.encode("latin-1") + more_headers + b"\r\n" + body)


async def serve(port: int, server: str, ready: Callable[[str], None], delay_seconds: float = 0.0) -> None:
    """Serve until cancelled; `ready` gets the app's URL."""
    loop = asyncio.get_running_loop()
    app = App("", server, delay_seconds)
    listening = await loop.create_server(lambda: Connection(app), "127.0.0.1", port)
    app.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}{PATH}"
    ready(app.url)
    async with listening:
        await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--server", required=True, help="URL of the server to register with")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="how long user code takes")
    options = parser.parse_args()
    server, delay = options.server.rstrip("/"), options.delay_ms / 1000
    uvloop.run(serve(options.port, server, lambda url: print(url, flush=True), delay))


if __name__ == "__main__":
    main()
