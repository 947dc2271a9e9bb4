"""An app that speaks the SDK protocol without an SDK, so that a test sees every call it gets."""

from __future__ import annotations

import hashlib
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

HEADERS = {"x-inngest-sdk": "py:v0.5.0", "x-inngest-req-version": "2"}


def step_id(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


class StepsApp:
    """Serves `chain`: steps `s0`, `s1`, a sleep, `s2`; it returns the event's `n`, or the time a cron was scheduled at.

    `executed` counts how often each (n, step) was run, `returned` how often each n was.
    """

    def __init__(self, app: str = "chaos", sleep: str = "1s") -> None:
        self.app = app
        self.sleep = sleep
        self.port = free_port()
        self.executed: Counter[tuple[int | str, str]] = Counter()
        self.returned: Counter[int | str] = Counter()
        routes = [Route("/api/inngest", self._call, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="warning", lifespan="off")
        self._server = EmbeddedServer(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/inngest"

    def register(self, server: str, event: str = "chaos/start", cron: str | None = None) -> None:
        """Sync the app, as an SDK does."""
        trigger = {"event": event} if cron is None else {"cron": cron}
        body = {
            "url": self.url,
            "deployType": "ping",
            "framework": "test",
            "appName": self.app,
            "sdk": "py:v0.5.0",
            "v": "0.1",
            "functions": [
                {
                    "id": f"{self.app}-chain",
                    "name": "chain",
                    "triggers": [trigger],
                    "steps": {
                        "step": {
                            "id": "step",
                            "name": "step",
                            "runtime": {"type": "http", "url": f"{self.url}?fnId={self.app}-chain&stepId=step"},
                            "retries": {"attempts": 4},
                        }
                    },
                }
            ],
        }
        answer = httpx.post(f"{server}/fn/register", json=body, timeout=30)
        assert answer.status_code == 200, answer.text

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _call(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        data = body["event"]["data"]
        n = data["n"] if "n" in data else data["scheduledAt"]
        done = body["steps"]
        for name in ("s0", "s1"):
            if step_id(name) not in done:
                return self._run(n, name)
        if step_id("nap") not in done:
            return self._ops({"op": "Sleep", "id": step_id("nap"), "displayName": "nap", "name": self.sleep})
        if step_id("s2") not in done:
            return self._run(n, "s2")
        self.returned[n] += 1
        return JSONResponse(n, headers=HEADERS)

    def _run(self, n: int | str, name: str) -> Response:
        self.executed[n, name] += 1
        return self._ops({"op": "StepRun", "id": step_id(name), "displayName": name, "data": {"n": n}})

    def _ops(self, *ops: dict[str, Any]) -> Response:
        return JSONResponse(list(ops), 206, headers=HEADERS)
