"""Finding apps on this machine, in dev: the ports where frameworks listen by default, the paths where SDKs serve.

Knocking on a closed port costs next to nothing. An open port that is not an app's is left alone for a while, because
somebody else's server should not fill its log with our questions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx

HOST = "127.0.0.1"
PORTS = (3000, 3001, 3002, 3003, 4000, 4200, 4321, 5000, 5001, 5173, 8000, 8001, 8080, 8081, 8787, 8888, 9000)
PATHS = ("/api/inngest", "/x/inngest", "/.netlify/functions/inngest", "/.redwood/functions/inngest")
KNOCK_SECONDS = 0.3
ANSWER_SECONDS = 2.0
LEAVE_ALONE_SECONDS = 60.0


class Discovery:
    """Looks for apps that are not known yet. Never raises: what does not answer like an app is none."""

    def __init__(self, client: httpx.AsyncClient, known: Callable[[str], bool], ports: tuple[int, ...] = PORTS) -> None:
        self._client = client
        self._known = known
        self._ports = ports
        self._left_alone: dict[int, float] = {}

    async def look(self) -> AsyncIterator[str]:
        """URLs that answer as an SDK does."""
        for port in self._ports:
            if self._left_alone.get(port, 0.0) > time.monotonic() or self._has_app(port):
                continue
            if await _is_open(port):
                url = await self._app_at(port)
                if url is None:
                    self._left_alone[port] = time.monotonic() + LEAVE_ALONE_SECONDS
                else:
                    yield url

    def _has_app(self, port: int) -> bool:
        return any(self._known(_url(port, path)) for path in PATHS)

    async def _app_at(self, port: int) -> str | None:
        for path in PATHS:
            try:
                async with asyncio.timeout(ANSWER_SECONDS), self._client.stream("GET", _url(port, path)) as answer:
                    if "x-inngest-sdk" in answer.headers:
                        return _url(port, path)
            except (httpx.HTTPError, TimeoutError):
                return None
        return None


def _url(port: int, path: str) -> str:
    return f"http://{HOST}:{port}{path}"


async def _is_open(port: int) -> bool:
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            _, writer = await asyncio.open_connection(HOST, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
