"""An app whose runs wait for events, without an SDK, so that a test sees every call it gets."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.cli.ports import free_port
from penstock.web import EmbeddedServer

from .steps_app import HEADERS, step_id

EVENT = "storm/go"
CONDITION = "async.data.n == event.data.n"


class WaitsApp:
    """Serves `waits`: a step, then two waits for `storm/go` with the run's own `n`; it returns the ids of both events.

    `waiting` holds each `n` that came to its first wait, `returned` counts how often each came to its end.
    """

    def __init__(self, app: str = "storm") -> None:
        self.app = app
        self.port = free_port()
        self.waiting: set[int] = set()
        self.returned: Counter[int] = Counter()
        routes = [Route("/api/inngest", self._call, methods=["POST"])]
        config = uvicorn.Config(
            Starlette(routes=routes), port=self.port, log_level="warning", lifespan="off", access_log=False
        )
        self._server = EmbeddedServer(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def register(self, server: str) -> None:
        """Sync the app, as an SDK does."""
        url = f"http://127.0.0.1:{self.port}/api/inngest"
        runtime = {"type": "http", "url": f"{url}?fnId={self.app}-waits&stepId=step"}
        function = {
            "id": f"{self.app}-waits",
            "name": "waits",
            "triggers": [{"event": "storm/start"}],
            "steps": {"step": {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": 4}}},
        }
        body = {"url": url, "deployType": "ping", "framework": "test", "appName": self.app, "sdk": "py:v0.5.0"}
        answer = httpx.post(f"{server}/fn/register", json={**body, "v": "0.1", "functions": [function]}, timeout=30)
        assert answer.status_code == 200, answer.text

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _call(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        n, done = body["event"]["data"]["n"], body["steps"]
        if step_id("before") not in done:
            return self._op({"op": "StepRun", "id": step_id("before"), "displayName": "before", "data": n})
        for name in ("first", "second"):
            if step_id(name) not in done:
                self.waiting.add(n)
                opts = {"if": CONDITION, "timeout": "1h"}
                return self._op(
                    {"op": "WaitForEvent", "id": step_id(name), "displayName": name, "name": EVENT, "opts": opts}
                )
        self.returned[n] += 1
        return JSONResponse([done[step_id(name)]["id"] for name in ("first", "second")], headers=HEADERS)

    def _op(self, op: dict[str, Any]) -> Response:
        return JSONResponse([op], 206, headers=HEADERS)
