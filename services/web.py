"""HTTP servers as part of a service, not as its master, and what strangers may make them hold and wait for.

Every server of ours speaks `BoundedProtocol`: a request's head and framing have a size, head and body a time to
arrive, and connections a number. Sizes of bodies are their readers' to bound, who can say what to send instead.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import orjson
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .errors import InvalidSettings, LimitExceeded

#: Request line and headers together; SDKs send less than 2 KiB.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
#: What chunks, their extensions and trailers may add to a body, for each byte of it: a chunk of one byte adds five.
MAX_FRAMING = 8
HEAD_SECONDS = 10.0
#: A little more than readers of bodies wait, who then can still say so.
BODY_SECONDS = 65.0
IDLE_SECONDS = 5
MAX_CONNECTIONS = 2000
BACKLOG = 2048

Phase = Literal["idle", "head", "body"]
_HEAD = b"content-type: application/json\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: %d\r\n\r\n"


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves signals alone: when to end is its service's business (`should_exit`)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def read_body(request: Request, most: int) -> bytes:
    """A request's body; `LimitExceeded` as soon as it is longer than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise LimitExceeded(f"the body is larger than {most} bytes")
    return bytes(body)


def configured(
    app: ASGIApp, max_connections: int = MAX_CONNECTIONS, grace_seconds: int | None = None
) -> uvicorn.Config:
    """How every server of ours is run. Nothing is logged of requests: their paths hold event keys."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=max_connections,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within bounds. Beyond them the sender is told 408, 431 or 503, and the connection closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Counted here, before anything is read; uvicorn would count when a request has been.
        self._max_connections = self.limit_concurrency or MAX_CONNECTIONS
        self.limit_concurrency = None
        self._phase: Phase = "head"
        self._requests = 0
        self._body_bytes = 0
        self._other_bytes = 0
        self._watched: tuple[int, Phase] | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self._refuse(503, "too many connections; try again in a moment")
        else:
            self._keep_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._other_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._end_watch()
        elif self._other_bytes > MAX_HEAD_BYTES + MAX_FRAMING * self._body_bytes:
            self._refuse(431, f"the request's head is larger than {MAX_HEAD_BYTES} bytes")
        else:
            self._keep_watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = "head"
        self._requests += 1
        self._body_bytes = 0

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refuse(431, f"a request may have {MAX_HEADERS} headers of {MAX_HEAD_BYTES} bytes, its URL included")
            raise ValueError("too large a head")  # ends the parser's work on what follows
        self._phase = "body"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._other_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = "idle"
        self._other_bytes = 0

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _keep_watch(self) -> None:
        """One timer for each part of a request that does not come at once; none for the usual, which does."""
        current = (self._requests, self._phase)
        if current == self._watched:
            return
        self._end_watch()
        self._watched = current
        if self._phase != "idle":
            seconds = HEAD_SECONDS if self._phase == "head" else BODY_SECONDS
            self._watch = self.loop.call_later(seconds, self._too_slow, seconds)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _too_slow(self, seconds: float) -> None:
        self._refuse(408, f"the request did not arrive within {seconds:g} s; send it again")

    def _refuse(self, status: int, message: str) -> None:
        """Say why, unless an answer is under way, and close."""
        self._end_watch()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = orjson.dumps({"error": message, "status": status})
            self.transport.write(STATUS_LINE[status] + _HEAD % len(body) + body)
        self.transport.close()


def require_loopback(mode: str, host: str, on_network: bool) -> None:
    """Raise `InvalidSettings` when a development server, which asks nobody for a key, is to be open to a network."""
    if mode == "dev" and not on_network and not is_loopback(host):
        raise InvalidSettings(
            f"a development server lets everybody in, so it listens on this machine only, not on {host[:100]!r}: take "
            "PENSTOCK_MODE=cloud with keys; or, where nobody else can reach it (in a container whose port is "
            "published on 127.0.0.1), PENSTOCK_DEV_ON_NETWORK=true"
        )


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses and its usual name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
