"""A small schema registry on loopback: the part of Confluent's REST interface that clients use, for real over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.web import EmbeddedServer


class RegistryServer:
    """Subjects and ids in memory. `requests` are the paths asked for; `broken` answers everything with 500."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.broken = False
        self.refused_subjects: set[str] = set()
        self._schemas: list[dict[str, Any]] = []
        self._subjects: dict[str, list[int]] = {}
        self.url = ""

    def add(self, subject: str, schema: Any, **more: Any) -> int:
        """Register a schema under a subject; the id of an equal one is reused."""
        entry = {"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}
        if entry not in self._schemas:
            self._schemas.append(entry)
        schema_id = self._schemas.index(entry) + 1
        versions = self._subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def subjects(self) -> set[str]:
        return set(self._subjects)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/schemas/ids/{schema_id:int}", self._by_id),
                Route("/subjects/{subject}/versions", self._register, methods=["POST"]),
                Route("/subjects/{subject}/versions/{version:int}", self._by_version),
            ]
        )

    async def _by_id(self, request: Request) -> Response:
        return self._answer(request, request.path_params["schema_id"])

    async def _by_version(self, request: Request) -> Response:
        versions = self._subjects.get(request.path_params["subject"], [])
        version = request.path_params["version"]
        return self._answer(request, versions[version - 1] if 0 < version <= len(versions) else 0)

    async def _register(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        subject = request.path_params["subject"]
        if subject in self.refused_subjects:
            return JSONResponse({"error_code": 409, "message": "incompatible with an earlier schema"}, 409)
        return JSONResponse({"id": self.add(subject, (await request.json())["schema"])})

    def _answer(self, request: Request, schema_id: int) -> Response:
        self.requests.append(request.url.path)
        if self.broken:
            return JSONResponse({"error_code": 50001}, 500)
        if not 0 < schema_id <= len(self._schemas):
            return JSONResponse({"error_code": 40403, "message": "Schema not found"}, 404)
        return JSONResponse(self._schemas[schema_id - 1])


@contextmanager
def running_registry() -> Iterator[RegistryServer]:
    """The registry, served by a thread until the end of the block."""
    registry = RegistryServer()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        registry.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = EmbeddedServer(uvicorn.Config(registry.app(), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.should_exit = True
            thread.join(5.0)
