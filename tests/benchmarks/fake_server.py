"""The smallest server that runs durable functions: it knows how late it is, so that the benchmark's numbers can be
checked.

    python -m tests.benchmarks.fake_server     (prints its URL)

Every run waits `FIRST_CALL_MS` before its first call and `BETWEEN_STEPS_MS` before every other; an event that a run
waits for, by its number, resumes it after `RESUMED_MS`. Each 100th event, by its number, is refused with 429; nothing
is kept.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

FIRST_CALL_MS = 400
BETWEEN_STEPS_MS = 200
RESUMED_MS = 300
REFUSED_EVERY = 100


class FakeServer:
    """Functions by event name, and the runs under way."""

    def __init__(self) -> None:
        self._functions: dict[str, str] = {}
        self._waits: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=10)

    async def register(self, request: Request) -> JSONResponse:
        body = await request.json()
        for function in body["functions"]:
            url = function["steps"]["step"]["runtime"]["url"]
            self._functions[function["triggers"][0]["event"]] = url
        return JSONResponse({"ok": True, "modified": True})

    async def accept(self, request: Request) -> JSONResponse:
        body = await request.json()
        events = body if isinstance(body, list) else [body]
        if len(events) == 1 and events[0]["data"]["n"] % REFUSED_EVERY == 0:
            return JSONResponse({"ids": [], "status": 429, "error": "try again"}, 429)
        for event in events:
            if event["name"] in self._functions:
                run = asyncio.create_task(self._run(self._functions[event["name"]], event))
                self._runs.add(run)
                run.add_done_callback(self._runs.discard)
            elif waits := self._waits.pop((event["name"], event["data"]["n"]), None):
                waits.set_result(event)
        return JSONResponse({"ids": ["x"] * len(events), "status": 200})

    async def _run(self, url: str, event: dict[str, Any]) -> None:
        steps: dict[str, Any] = {}
        await asyncio.sleep(FIRST_CALL_MS / 1000)
        while True:
            ctx = {"run_id": "x", "attempt": 0, "stack": {"stack": list(steps), "current": len(steps)}}
            call = {
                "event": event,
                "events": [event],
                "steps": steps,
                "ctx": ctx,
                "version": -1,
                "use_api": False,
            }
            answered = await self._client.post(url, json=call)
            if answered.status_code != 206:
                assert answered.headers["x-inngest-sdk"]
                return
            [operation] = answered.json()
            steps[operation["id"]] = await self._result(operation, event["data"]["n"])

    async def _result(self, operation: dict[str, Any], n: int) -> Any:
        if operation["op"] == "WaitForEvent":
            self._waits[operation["name"], n] = asyncio.get_running_loop().create_future()
            event = await self._waits[operation["name"], n]
            await asyncio.sleep(RESUMED_MS / 1000)
            return event
        await asyncio.sleep(BETWEEN_STEPS_MS / 1000)
        return {"data": operation["data"]}


def main() -> None:
    server = FakeServer()
    routes = [
        Route("/fn/register", server.register, methods=["POST"]),
        Route("/e/{key}", server.accept, methods=["POST"]),
    ]
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
