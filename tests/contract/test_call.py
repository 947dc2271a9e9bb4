"""`HttpCaller` against a real server on loopback: whatever the app does, the call ends in a reply."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from typing import Any

import jcs
import orjson
import pytest

from penstock.executor.call import STALE_CONNECTION_SECONDS, FunctionCall, FunctionCaller, HttpCaller
from penstock.messages.ids import StepId
from penstock.messages.signature import verify
from penstock.runs.replies import MAX_RESPONSE_BYTES, Failed, Op, Reply, Returned, Stepped
from penstock.settings import ExecutorSettings

from .http_app import Answer, Received, raw_app, response

KEY = "signkey-test-0123456789abcdef"
NOW = 1_790_000_000.5
STEP = b'[{"op":"StepRun","id":"a","displayName":"one","data":{"n":1.0}}]'


def caller(**settings: Any) -> HttpCaller:
    return HttpCaller(ExecutorSettings(**settings), clock=lambda: NOW)


def to(url: str, body: bytes = b'{"b":1.0,"a":2}') -> FunctionCall:
    return FunctionCall("shop", url, {"content-type": "application/json", "x-run-id": "01R"}, body)


def always(sent: bytes) -> Answer:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    return answer


async def call(url: str, **settings: Any) -> Reply:
    http = caller(**settings)
    try:
        return await asyncio.wait_for(http.call(to(url)), 30)
    finally:
        await http.close()


def failure(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply, Failed)
    error: dict[str, Any] = orjson.loads(reply.error)
    return error


async def test_request_reaches_the_app_as_it_was_given() -> None:
    """Method, path, query, headers and body arrive; the answer comes back with what its headers say."""
    async with raw_app(always(response(STEP))) as app:
        reply = await call(f"{app.url}/api/inngest?fnId=shop-f&stepId=step")
    (received,) = app.requests
    assert received.line == "POST /api/inngest?fnId=shop-f&stepId=step HTTP/1.1"
    assert received.headers["x-run-id"] == "01R"
    assert received.headers["content-type"] == "application/json"
    assert received.body == b'{"b":1.0,"a":2}'
    assert "x-inngest-signature" not in received.headers
    assert reply == Stepped((Op("StepRun", StepId("a"), "one", data='{"n":1.0}'),), request_version=2)


async def test_body_is_signed_in_the_form_that_sdks_check() -> None:
    """With a key the body is canonical, and its signature is over the bytes that arrive."""
    async with raw_app(always(response(b"1", "200 OK"))) as app:
        await call(app.url, signing_key=KEY)
    (received,) = app.requests
    assert received.body == b'{"a":2,"b":1}' == jcs.canonicalize(json.loads(received.body))
    assert verify(KEY, received.headers["x-inngest-signature"], received.body, int(NOW))


async def test_large_body_is_signed_as_well() -> None:
    """A body that is brought into its signed form off the event loop arrives canonical and signed."""
    large = orjson.dumps({"z": "x" * 100_000, "a": [1.0] * 1000})
    async with raw_app(always(response(b"1", "200 OK"))) as app:
        http = caller(signing_key=KEY)
        await http.call(to(app.url, large))
        await http.close()
    (received,) = app.requests
    assert received.body == jcs.canonicalize(json.loads(large))
    assert verify(KEY, received.headers["x-inngest-signature"], received.body, int(NOW))


async def test_connection_is_kept_for_the_next_call() -> None:
    """Calls one after the other share a connection."""
    async with raw_app(always(response(STEP))) as app:
        http = caller()
        for _ in range(5):
            assert isinstance(await http.call(to(app.url)), Stepped)
        await http.close()
    assert app.connections == 1


async def test_connection_that_the_app_closed_while_idle_is_replaced() -> None:
    """An app that ends idle connections is called on a new one, not told to have failed."""

    async def answer_and_close(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(STEP))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with raw_app(answer_and_close) as app:
        http = caller()
        replies = [await http.call(to(app.url)) for _ in range(20)]
        await http.close()
    assert [reply for reply in replies if not isinstance(reply, Stepped)] == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_redirect_is_followed_with_method_and_body(status: str) -> None:
    """The request is sent again as it is to the new place, be it relative."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        moved = response(b"", status, location="/there?x=1")
        writer.write(moved if received.target == "/here" else response(STEP))

    async with raw_app(answer) as app:
        reply = await call(f"{app.url}/here")
    assert isinstance(reply, Stepped)
    assert [r.line for r in app.requests] == ["POST /here HTTP/1.1", "POST /there?x=1 HTTP/1.1"]
    assert app.requests[0].body == app.requests[1].body


async def test_redirect_loop_ends() -> None:
    """A URL that redirects for ever is called four times, then the call has failed with the reason."""
    async with raw_app(always(response(b"", "307 Temporary Redirect", location="/again"))) as app:
        reply = await call(f"{app.url}/again")
    assert "more than 3 redirects" in failure(reply)["message"]
    assert len(app.requests) == 4


@pytest.mark.parametrize("place", ["file:///etc/passwd", "gopher://127.0.0.1/x"])
async def test_redirect_to_another_protocol_is_refused(place: str) -> None:
    """Only http and https are followed."""
    async with raw_app(always(response(b"", "302 Found", location=place))) as app:
        reply = await call(app.url)
    assert "no place to follow it to" in failure(reply)["message"]


@pytest.mark.parametrize("status", ["303 See Other", "307 Temporary Redirect"])
async def test_redirect_that_cannot_be_followed_is_a_failure_of_the_app(status: str) -> None:
    """303 asks for a GET, which runs nothing; a redirect without a place leads nowhere."""
    async with raw_app(always(response(b"moved", status))) as app:
        reply = await call(app.url)
    assert failure(reply)["message"] == "moved"


async def test_refused_connection_says_where_it_called() -> None:
    """Nobody listens: a retriable failure that names app and URL, but neither password nor query."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    reply = await call(f"http://me:secret@127.0.0.1:{port}/api?token=secret")
    message = failure(reply)["message"]
    assert f"calling app 'shop' at http://127.0.0.1:{port}/api failed: Connection refused" in message
    assert "secret" not in message
    assert not reply.no_retry  # type: ignore[union-attr]


async def test_app_that_hangs_is_given_up() -> None:
    """No answer within the timeout is a retriable failure, and the connection is let go."""

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_app(hang) as app:
        reply = await call(app.url, call_timeout_seconds=0.2)
    assert "no answer within 0.2 seconds" in failure(reply)["message"]


async def test_body_that_never_ends_is_given_up() -> None:
    """An app that drips bytes for ever is bounded by the timeout of the whole call."""

    async def drip(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-inngest-sdk: go:v1\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\n \r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_app(drip) as app:
        reply = await call(app.url, call_timeout_seconds=0.3)
    assert "no answer within 0.3 seconds" in failure(reply)["message"]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 206 OK\r\ncontent-length: 100\r\n\r\n[{", b"HTTP/1.1 206"])
async def test_connection_cut_is_a_failure(sent: bytes) -> None:
    """The app dies before, in or after the head of its answer: retriable, never an exception."""

    async def cut(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()

    async with raw_app(cut) as app:
        reply = await call(app.url)
    assert f"at {app.url} failed" in failure(reply)["message"]
    assert not reply.no_retry  # type: ignore[union-attr]


async def test_connection_that_is_cut_at_once_is_tried_twice() -> None:
    """The first may have been stale; a second that is cut as well is the app's failure, not tried for ever."""

    async def cut(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with raw_app(cut) as app:
        assert isinstance(await call(app.url), Failed)
    assert len(app.requests) == 2


async def test_reply_that_breaks_off_is_not_asked_for_again() -> None:
    """Whose answer had begun has run the step: the attempt counts, however soon the connection broke."""

    async def break_off(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with raw_app(break_off) as app:
        assert isinstance(await call(app.url), Failed)
    assert len(app.requests) == 1


async def test_step_that_kills_its_app_after_a_while_is_not_called_again() -> None:
    """A connection that breaks while the app is at work may have run the step: the run's rules decide."""

    async def work_and_die(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(STALE_CONNECTION_SECONDS + 0.1)
        writer.transport.abort()

    async with raw_app(work_and_die) as app:
        assert isinstance(await call(app.url), Failed)
    assert len(app.requests) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is no HTTP at all\r\n\r\n",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-inngest-sdk: x\r\n\r\nzz\r\n",
        response(b"this is no gzip", "200 OK", content_encoding="gzip"),
    ],
)
async def test_garbage_is_a_failure(sent: bytes) -> None:
    """Bytes that are no HTTP, or break it half-way, end in a failure."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    async with raw_app(answer) as app:
        assert isinstance(await call(app.url), Failed)


async def test_header_that_is_no_text_does_not_spoil_the_answer() -> None:
    """Bytes in headers beyond ASCII are passed over, whichever header they are in."""
    async with raw_app(always(response(b"1", "200 OK", retry_after="\xff\xfe", x_other="\xe4"))) as app:
        assert await call(app.url) == Returned("1", 2)


async def test_answer_of_exactly_the_limit_is_taken() -> None:
    """8 MiB are allowed."""
    body = b'"' + b"a" * (MAX_RESPONSE_BYTES - 2) + b'"'
    async with raw_app(always(response(body, "200 OK"))) as app:
        reply = await call(app.url)
    assert isinstance(reply, Returned)
    assert len(reply.output) == MAX_RESPONSE_BYTES


async def test_endless_answer_is_cut_off_at_the_limit() -> None:
    """Reading stops after 8 MiB: an app cannot fill the executor's memory. It is not asked again."""

    async def flood(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-inngest-sdk: go:v1\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
            await writer.drain()

    async with raw_app(flood) as app:
        reply = await call(app.url)
        await asyncio.wait_for(app.closed.wait(), 10)
    assert failure(reply)["name"] == "OutputTooLarge"
    assert reply.no_retry  # type: ignore[union-attr]


async def test_compressed_bomb_is_cut_off_at_the_limit() -> None:
    """What counts is the size after unpacking."""
    bomb = gzip.compress(b"a" * (64 * 1024 * 1024))
    async with raw_app(always(response(bomb, "200 OK", content_encoding="gzip"))) as app:
        assert failure(await call(app.url))["name"] == "OutputTooLarge"


async def test_compressed_and_chunked_answers_are_read() -> None:
    """gzip and chunks, as frameworks and proxies make them."""
    packed = gzip.compress(STEP)
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, packed[i : i + 1]) for i in range(len(packed))) + b"0\r\n\r\n"
    head = b"HTTP/1.1 206 OK\r\nx-inngest-sdk: go:v1\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    async with raw_app(always(head + chunks)) as app:
        reply = await call(app.url)
    assert isinstance(reply, Stepped)
    assert reply.ops[0].data == '{"n":1.0}'


@pytest.mark.parametrize("url", ["", "shop", "http://", "ftp://127.0.0.1/x", "http://[::1", "http://127.0.0.1:99999/"])
async def test_url_that_cannot_be_called_is_a_failure(url: str) -> None:
    """An app may have registered any text as its URL."""
    assert "calling app 'shop' at" in failure(await call(url))["message"]


async def test_unknown_host_is_a_failure() -> None:
    """A name that does not resolve: the message has the reason and the name."""
    message = failure(await call("http://no-such-host.invalid/api"))["message"]
    assert "http://no-such-host.invalid/api failed:" in message


async def test_cancelled_call_lets_the_connection_go() -> None:
    """Whoever cancels a call gets the cancellation, and the app sees the connection close."""
    arrived = asyncio.Event()

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with raw_app(hang) as app:
        http = caller()
        task = asyncio.create_task(http.call(to(app.url)))
        await asyncio.wait_for(arrived.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await http.close()
    assert len(app.requests) == 1


async def test_slow_app_holds_up_no_other() -> None:
    """While one app hangs with many calls, another one is answered."""

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_app(hang) as slow, raw_app(always(response(STEP))) as quick:
        http: FunctionCaller = caller(max_calls_per_app=8)
        hanging = [asyncio.create_task(http.call(to(slow.url))) for _ in range(50)]
        assert isinstance(await asyncio.wait_for(http.call(to(quick.url)), 10), Stepped)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await http.close()


async def test_call_after_close_is_a_failure() -> None:
    """A caller that is closed answers with failures."""
    async with raw_app(always(response(STEP))) as app:
        http = caller()
        await http.close()
        assert isinstance(await http.call(to(app.url)), Failed)
