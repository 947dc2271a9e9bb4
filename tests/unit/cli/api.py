"""The HTTP API as a table of answers, for commands that are run in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from penstock.cli import options
from penstock.cli.server import Server
from penstock.settings import ClientSettings

Answer = Any


@dataclass
class Api:
    """`answers`: "GET /v1/runs" → data, a (status, body), or a function of the request. `asked` keeps the requests."""

    answers: dict[str, Answer]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.answers.get(f"{request.method} {request.url.path}")
        if callable(found):
            found = found(request)
        if found is None:
            return httpx.Response(404, json={"error": f"{request.url.path} is not there", "status": 404})
        if isinstance(found, tuple):
            return httpx.Response(found[0], json=found[1])
        return httpx.Response(200, json={"data": found, "metadata": {}})

    def bodies(self) -> list[Any]:
        return [orjson.loads(request.content) for request in self.asked if request.content]

    def queries(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.asked]


def serve(monkeypatch: Any, answers: Mapping[str, Answer]) -> Api:
    """Commands talk to these answers from now on."""
    api = Api(dict(answers))

    def connect(url: str, key: str) -> Server:
        settings = ClientSettings(url=url or "http://penstock", signing_key=key)
        return Server(settings, httpx.MockTransport(api))

    connected: Callable[[str, str], Server] = connect
    monkeypatch.setattr(options, "connect", connected)
    from penstock.cli.groups import apps, dead_letters, doctor, events, functions, replays, runs

    for module in (apps, dead_letters, doctor, events, functions, replays, runs):
        monkeypatch.setattr(module, "connect", connected)
    return api
