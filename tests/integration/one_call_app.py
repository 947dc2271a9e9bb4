"""The smallest app: one function, one call, which returns the event's `n`. It counts what it sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send

from penstock.cli.ports import free_port
from penstock.web import EmbeddedServer

HEADERS = [(b"x-inngest-sdk", b"py:v0.5.0"), (b"x-inngest-req-version", b"2"), (b"content-type", b"application/json")]
NO_RETRY = (b"x-inngest-no-retry", b"true")


class OneCallApp:
    """Serves `one`. `seen` counts the calls for each `n`; those in `failing` fail for good."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.port = free_port()
        self.seen: Counter[int] = Counter()
        self.register_again: Callable[[], None] = lambda: None
        self.failing: set[int] = set()
        config = uvicorn.Config(
            self._answer, port=self.port, interface="asgi3", log_level="warning", lifespan="off", access_log=False
        )
        self._server = EmbeddedServer(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/inngest"

    def register(self, server: str, event: str) -> None:
        """Sync the app, as an SDK does; when it is asked to, it does so again."""
        self.register_again = lambda: self._register(server, event)
        self.register_again()

    def _register(self, server: str, event: str) -> None:
        call = f"{self.url}?fnId={self.app}-one&stepId=step"
        step = {"id": "step", "name": "step", "runtime": {"type": "http", "url": call}, "retries": {"attempts": 4}}
        function = {"id": f"{self.app}-one", "name": "one", "triggers": [{"event": event}], "steps": {"step": step}}
        body = {
            "url": self.url,
            "deployType": "ping",
            "framework": "test",
            "appName": self.app,
            "sdk": "py:v0.5.0",
            "v": "0.1",
            "functions": [function],
        }
        answer = httpx.post(f"{server}/fn/register", json=body, timeout=30)
        assert answer.status_code == 200, answer.text

    def n_of(self, event: dict[str, Any]) -> int:
        return int(event["data"]["n"])

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        if scope["method"] == "PUT":
            await asyncio.to_thread(self.register_again)
            await self._send(send, 200, b"{}")
            return
        n = self.n_of(json.loads(body)["event"])
        self.seen[n] += 1
        if n in self.failing:
            await self._send(send, 500, b'{"name": "Error", "message": "this n fails"}', NO_RETRY)
        else:
            await self._send(send, 200, str(n).encode())

    async def _send(self, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [*HEADERS, *headers]})
        await send({"type": "http.response.body", "body": body})
