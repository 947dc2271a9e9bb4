"""What strangers may make an HTTP server of ours hold and wait for, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from penstock import web
from penstock.errors import InvalidSettings
from penstock.web import EmbeddedServer, configured, is_loopback, require_loopback

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
PATIENCE_SECONDS = 10.0
HELLO = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"


class Served:
    """A server on a free port, and what its bodies came to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cut_off = asyncio.Event()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[Reader, Writer]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def told(self, *parts: bytes) -> bytes:
        """All that comes back until the server closes the connection."""
        async with self.connection() as (reader, writer):
            return await _all(reader, lambda: _send(writer, parts))


async def _send(writer: Writer, parts: tuple[bytes, ...]) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()


async def _all(reader: Reader, send: Callable[[], Awaitable[None]]) -> bytes:
    """What was read before the end; a reset is an end too."""
    answer = bytearray()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionError):
            await send()
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                answer += chunk
    return bytes(answer)


@asynccontextmanager
async def serving(max_connections: int = 100) -> AsyncIterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    served = Served(listening.getsockname()[1])

    async def hello(_request: Request) -> Response:
        return PlainTextResponse("hello")

    async def size(request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            served.cut_off.set()
            return PlainTextResponse("gone")

    app = Starlette(routes=[Route("/hello", hello), Route("/size", size, methods=["POST"])])
    server = EmbeddedServer(configured(app, max_connections, 1))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield served
    finally:
        server.should_exit = True
        await task


def request(*headers: str, path: str = "/hello", method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "host: x", *headers, "", "")).encode()


async def test_ordinary_requests_are_answered() -> None:
    """One after another and several at once on a connection, with bodies in one piece, in pieces and in chunks."""
    chunked = request("transfer-encoding: chunked", path="/size", method="POST")
    async with serving() as served:
        answers = await served.told(
            HELLO + HELLO,
            request("content-length: 5", path="/size", method="POST"),
            b"12",
            b"345",
            chunked + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n",
            request("connection: close"),
        )
    assert answers.count(b"200 OK") == 5
    assert answers.count(b"hello") == 3
    assert b"\r\n\r\n5" in answers
    assert b"\r\n\r\n20000" in answers


@pytest.mark.parametrize(
    "head",
    [
        request("x: " + "a" * 70_000),
        request(path="/" + "a" * 70_000),
        request(*(f"x-{number}: {'a' * 800}" for number in range(90))),
        request(*(f"x-{number}: a" for number in range(150))),
        b"GET /hello HTTP/1.1\r\nx: " + b"a" * 10_000_000,
        b"GET /" + b"a" * 10_000_000,
        request("transfer-encoding: chunked", path="/size", method="POST") + b"0\r\nx: " + b"a" * 10_000_000,
        request("transfer-encoding: chunked", path="/size", method="POST") + b"1;" + b"a" * 10_000_000,
    ],
    ids=["a header", "URL", "headers", "many headers", "endless header", "endless URL", "trailer", "chunk extension"],
)
async def test_a_head_has_a_size(head: bytes) -> None:
    """431 as soon as it is too large, whether it ends or not: nothing is kept of it."""
    async with serving() as served:
        answer = await served.told(head)
        assert b"200 OK" not in answer
        assert answer.startswith(b"HTTP/1.1 431 ") or not answer  # lost where the sender did not stop to listen
        assert b"hello" in await served.told(request("connection: close"))


async def test_too_large_a_head_is_told_so() -> None:
    """Whoever listens hears what is allowed."""
    async with serving() as served:
        answer = await served.told(request("x: " + "a" * 70_000))
    assert b"a request may have 100 headers of 65536 bytes" in answer


@pytest.mark.parametrize("start", [b"", b"GET /hel", b"GET /hello HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_has_a_time(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing, or little by little, are closed."""
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.2)
    async with serving() as served:
        assert (await served.told(start)).startswith(b"HTTP/1.1 408 ")
        async with served.connection() as (reader, writer):
            writer.write(HELLO)
            await reader.readuntil(b"hello")
            assert (await _all(reader, lambda: _send(writer, (start or b"G",)))).startswith(b"HTTP/1.1 408 ")


async def test_trickling_wins_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for the whole head, not from one byte to the next."""
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.3)

    async def trickle(writer: Writer) -> None:
        while True:
            await _send(writer, (b"x: y\r\n",))
            await asyncio.sleep(0.01)

    async with serving() as served, served.connection() as (reader, writer):
        writer.write(b"GET /hello HTTP/1.1\r\n")
        trickling = asyncio.create_task(trickle(writer))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        trickling.cancel()


async def test_a_body_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a part of it is cut off, and whoever was reading learns that it is not coming."""
    monkeypatch.setattr(web, "BODY_SECONDS", 0.2)
    async with serving() as served:
        answer = await served.told(request("content-length: 100", path="/size", method="POST"), b"12")
        assert answer.startswith(b"HTTP/1.1 408 ")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await served.cut_off.wait()


async def test_connections_have_a_number() -> None:
    """Beyond it 503 and closed; when others have gone there is room again."""
    async with serving(max_connections=3) as served:
        async with served.connection(), served.connection() as (reader, writer), served.connection():
            writer.write(HELLO)
            await reader.readuntil(b"hello")
            assert (await served.told()).startswith(b"HTTP/1.1 503 ")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"hello" not in await served.told(request("connection: close")):
                continue


async def test_garbage_is_refused_once() -> None:
    """What is no HTTP gets one answer, and the server goes on."""
    async with serving() as served:
        assert (await served.told(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")).count(b"HTTP/1.1 400 ") == 1
        assert b"hello" in await served.told(request("connection: close"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "a.localhost"])
def test_development_listens_on_this_machine(host: str) -> None:
    """By whatever name."""
    assert is_loopback(host)
    require_loopback("dev", host, on_network=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "example.com", "localhost.example.com"])
def test_development_does_not_listen_on_a_network(host: str) -> None:
    """It asks nobody for a key; unless somebody says that the network is safe. A cloud server may."""
    with pytest.raises(InvalidSettings, match="PENSTOCK_DEV_ON_NETWORK"):
        require_loopback("dev", host, on_network=False)
    require_loopback("dev", host, on_network=True)
    require_loopback("cloud", host, on_network=False)
