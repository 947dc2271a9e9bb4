"""An app made of raw sockets, to answer calls in ways that no HTTP library would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawApp:
    """Answers every request with `answer`; counts connections and remembers requests."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed its connection."""


@contextlib.asynccontextmanager
async def raw_app(answer: Answer) -> AsyncIterator[RawApp]:
    """Serve on a free loopback port until the block ends."""
    app = RawApp()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        app.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while not writer.is_closing():
                received = await _receive(reader)
                app.requests.append(received)
                await answer(received, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            app.closed.set()
        except asyncio.CancelledError:
            pass  # the block ended
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    app.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield app
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0], headers, body)


def response(body: bytes, status: str = "206 Partial Content", **headers: str) -> bytes:
    """A complete HTTP response of an SDK; `_` in header names stands for `-`."""
    sent = {"x-inngest-sdk": "inngest-py:v0.5.19", "x-inngest-req-version": "2", "content-length": str(len(body))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body
