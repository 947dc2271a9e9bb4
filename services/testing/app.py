"""The app under test: an ordinary web application, called in process as the server calls it over the network."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from ..errors import PenstockError
from ..messages.signature import canonical, sign
from ..runs.replies import Reply, parse_reply

ORIGIN = "http://app.test"


class AppUnderTest:
    """An ASGI or WSGI application that serves functions at `path`."""

    def __init__(self, app: Any, path: str, kind: str, signing_key: str | None) -> None:
        self._kind = kind
        self._signing_key = signing_key
        self._url = f"{ORIGIN}/{path.lstrip('/')}"
        self._asgi: httpx.AsyncClient | None = None
        self._wsgi: httpx.Client | None = None
        if _is_asgi(app):
            self._asgi = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False))
        else:
            self._wsgi = httpx.Client(transport=httpx.WSGITransport(app, raise_app_exceptions=False))

    async def sync(self, now: int) -> None:
        """Ask the app to register its functions; it does so with a request of its own."""
        headers = {"content-type": "application/json", "x-inngest-server-kind": self._kind}
        response = await self._send("PUT", self._url, headers, orjson.dumps({"url": self._url}), now)
        if not response.is_success:
            raise PenstockError(
                f"PUT {self._url} answered {response.status_code}: {response.text[:500]}\n"
                "Is that the path that serves the functions? In tests a client needs INNGEST_DEV=1 in its environment, "
                "or is_production=False; one with a signing key needs it here too: World(app, signing_key=…)"
            )

    async def call(self, url: str, headers: Mapping[str, str], body: bytes, now: int) -> Reply:
        """Call a function; whatever the app says is a reply."""
        response = await self._send("POST", url, headers, body, now)
        return parse_reply(response.status_code, dict(response.headers), response.content, now)

    async def close(self) -> None:
        if self._asgi is not None:
            await self._asgi.aclose()
        if self._wsgi is not None:
            self._wsgi.close()

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: int) -> httpx.Response:
        sent = dict(headers)
        if self._signing_key:
            body = canonical(body)
            sent["x-inngest-signature"] = sign(self._signing_key, body, now // 1000)
        if self._asgi is not None:
            return await self._asgi.request(method, url, headers=sent, content=body)
        assert self._wsgi is not None
        # In a thread without an event loop, as such an app is served in production.
        return await asyncio.to_thread(self._wsgi.request, method, url, headers=sent, content=body)


def _is_asgi(app: Any) -> bool:
    """An ASGI application is called with three arguments and awaited, a WSGI one with two."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)
