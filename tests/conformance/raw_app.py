"""An app that answers exactly what a test says, for what no SDK does on purpose."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from .server import Server

SDK = "py:v0.5.19"
SDK_HEADERS = {"x-inngest-sdk": SDK, "x-inngest-req-version": "2", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    @property
    def function(self) -> str:
        return self.query["fnId"].partition("-")[2]

    @property
    def step(self) -> str:
        return self.query["stepId"]

    @property
    def steps(self) -> dict[str, Any]:
        return dict(self.body["steps"])

    @property
    def attempt(self) -> int:
        return int(self.body["ctx"]["attempt"])


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body (JSON unless bytes) and headers; those of an SDK by default."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    from_sdk: bool = True


Script = Callable[[Call], Reply]


def ops(*opcodes: Mapping[str, Any], **headers: str) -> Reply:
    """The app asks for steps."""
    return Reply(206, list(opcodes), {name.replace("_", "-"): value for name, value in headers.items()})


def ran(step: str, data: Any) -> dict[str, Any]:
    """A step ran."""
    return {"op": "StepRun", "id": step, "displayName": step, "data": data}


class RawApp:
    """Serves scripts as functions of one app; keeps every call."""

    def __init__(self, server: Server) -> None:
        self.name = f"raw{uuid.uuid4().hex[:6]}"
        self.calls: list[Call] = []
        self._server = server
        self._scripts: dict[str, Script] = {}
        self._retries: dict[str, int] = {}
        self._http = self._listen(0)
        self.origin = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Listen no more: connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def open(self) -> None:
        """Listen again, in the same place."""
        self._http = self._listen(self._http.server_port)

    def start(self, script: Script, retries: int = 0, data: Any = None) -> str:
        """Serve a script as a new function and send it an event; the event's id."""
        slug = self.serve(script, retries)
        return self._server.send({"name": f"{self.name}/{slug}", "data": data})[0]

    def serve(self, script: Script, retries: int = 0) -> str:
        """Register a script as a new function; the event `<app>/<its name>` starts it."""
        slug = f"f{len(self._scripts)}"
        self._scripts[slug], self._retries[slug] = script, retries
        answer = httpx.post(f"{self._server.url}/fn/register", json=self._registration(), timeout=20.0)
        assert answer.status_code == 200, answer.text
        return slug

    def calls_of(self, run: str) -> list[Call]:
        return [call for call in self.calls if call.headers.get("x-run-id") == run]

    def _listen(self, port: int) -> ThreadingHTTPServer:
        http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        return http

    def _registration(self) -> dict[str, Any]:
        return {
            "url": f"{self.origin}/api/inngest",
            "deployType": "ping",
            "framework": "raw",
            "appname": self.name,
            "sdk": SDK,
            "v": "0.1",
            "somethingNew": {"a": 1},
            "functions": [self._function(slug) for slug in self._scripts],
        }

    def _function(self, slug: str) -> dict[str, Any]:
        slug_of_app = f"{self.name}-{slug}"
        runtime = {"type": "http", "url": f"{self.origin}/api/inngest?fnId={slug_of_app}&kept=yes"}
        step = {
            "id": "step",
            "name": "step",
            "runtime": runtime,
            "retries": {"attempts": self._retries[slug]},
        }
        return {
            "id": slug_of_app,
            "name": slug,
            "triggers": [{"event": f"{self.name}/{slug}", "expression": None}],
            "steps": {"step": step},
            "concurrency": [],
        }

    def _answer(self, call: Call) -> Reply:
        self.calls.append(call)
        return self._scripts[call.function](call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                raw = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._send(app._answer(Call(parts.path, query, headers, raw)))

            def _send(self, reply: Reply) -> None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {**(SDK_HEADERS if reply.from_sdk else {}), **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
