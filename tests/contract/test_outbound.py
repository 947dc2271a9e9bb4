"""`HttpSender` against a real server on loopback: where it goes, what it brings back, and what it never tells."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from penstock.executor.outbound import Address, HttpSender, is_public, resolve_host
from penstock.runs.gateway import MAX_RESPONSE_BYTES, OutboundRequest, outbound_request
from penstock.runs.outcomes import NotSent, Outcome, Responded
from penstock.settings import ExecutorSettings

from .http_app import Answer, Received, raw_app

LOOPBACK = ipaddress.ip_address("127.0.0.1")


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *headers))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body


def always(sent: bytes) -> Answer:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    return answer


class Names:
    """A resolver that answers from a list, one answer after the other, and remembers who was asked for."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[Address]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise OSError("no such name")
        return [ipaddress.ip_address(each) for each in found]


async def send(request: OutboundRequest, names: Names | None = None, **settings: Any) -> Outcome:
    sender = HttpSender(ExecutorSettings(**{"outbound_private_addresses": True, **settings}), names)
    try:
        return await asyncio.wait_for(sender.send(request), 30)
    finally:
        await sender.close()


def get(url: str, **headers: str) -> OutboundRequest:
    return outbound_request("Gateway", {"url": url, "method": "GET", "headers": headers})


def refused(outcome: Outcome) -> str:
    assert isinstance(outcome, NotSent), outcome
    return outcome.reason


async def test_request_arrives_as_it_was_asked_for() -> None:
    """Method, path, query, headers and body reach the server; status, headers and body come back."""
    async with raw_app(always(response(b"made", "201 Created", "X-One: 1", "x-one: 2"))) as app:
        request = outbound_request(
            "Gateway", {"url": f"{app.url}/a?b=%20c", "method": "PUT", "headers": {"x-in": "1"}, "body": "text"}
        )
        outcome = await send(request)
    (received,) = app.requests
    assert received.line == "PUT /a?b=%20c HTTP/1.1"
    assert received.headers["x-in"] == "1"
    assert received.headers["user-agent"] == "penstock"
    assert received.body == b"text"
    assert isinstance(outcome, Responded)
    assert (outcome.status, outcome.body, outcome.headers["x-one"]) == (201, b"made", "1, 2")


async def test_ai_request_arrives_with_its_key() -> None:
    """The key is where the API looks for it."""
    async with raw_app(always(response(b"{}"))) as app:
        opts = {"url": f"{app.url}/v1", "auth_key": "k3y", "format": "anthropic", "body": {"model": "m"}}
        await send(outbound_request("AIGateway", opts))
    (received,) = app.requests
    assert received.headers["x-api-key"] == "k3y"
    assert received.headers["content-type"] == "application/json"
    assert received.body == b'{"model":"m"}'


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "404 Not Found", "500 Oops"])
async def test_any_status_is_an_answer(status: str) -> None:
    """Redirects are told, not followed: they could lead to where the request itself may not go."""
    async with raw_app(always(response(b"there", status, "location: http://127.0.0.1:1/"))) as app:
        outcome = await send(get(app.url))
    assert isinstance(outcome, Responded)
    assert outcome.status == int(status[:3])
    assert len(app.requests) == 1


async def test_compressed_answer_is_unpacked() -> None:
    """The step gets the text, not how it travelled."""
    async with raw_app(always(response(gzip.compress(b"hello"), "200 OK", "content-encoding: gzip"))) as app:
        outcome = await send(get(app.url))
    assert isinstance(outcome, Responded)
    assert outcome.body == b"hello"
    assert "content-encoding" not in outcome.headers


async def test_header_that_is_no_text_does_not_spoil_the_answer() -> None:
    """It is passed over, the others are told."""
    async with raw_app(always(response(b"", "200 OK", "x-bad: \xff", "x-good: 1"))) as app:
        outcome = await send(get(app.url))
    assert isinstance(outcome, Responded)
    assert outcome.headers["x-good"] == "1"
    assert "x-bad" not in outcome.headers


@pytest.mark.parametrize("packed", [False, True])
async def test_answer_is_bounded(packed: bool) -> None:
    """4 MiB after unpacking; then the connection is dropped, and another attempt would end alike."""
    body = b"a" * (MAX_RESPONSE_BYTES + 1)
    sent = response(gzip.compress(body), "200 OK", "content-encoding: gzip") if packed else response(body)
    async with raw_app(always(sent)) as app:
        outcome = await send(get(app.url))
    assert "4 MiB" in refused(outcome)
    assert not outcome.retriable  # type: ignore[union-attr]


async def test_server_that_hangs_is_given_up() -> None:
    """No answer within the timeout: another attempt may have one."""

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_app(hang) as app:
        outcome = await send(get(app.url), request_timeout_seconds=0.2)
    assert outcome == NotSent("no answer within 0.2 seconds", retriable=True)


async def test_refused_connection_is_worth_a_retry_and_tells_no_secret() -> None:
    """The reason is the cause alone, without the URL."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    outcome = await send(get(f"http://me:secret@127.0.0.1:{port}/secret?key=secret", authorization="secret"))
    assert "Connection refused" in refused(outcome)
    assert outcome.retriable  # type: ignore[union-attr]
    assert "secret" not in repr(outcome)


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, neither URL nor headers are in the logs."""
    with caplog.at_level(logging.DEBUG):
        await send(get("http://a.invalid/secret?key=secret", authorization="secret"), Names(["127.0.0.1"]))
        odd = OutboundRequest("G T", "http://127.0.0.1/secret", {"bad name": "secret"}, b"", "127.0.0.1")
        assert not (await send(odd)).retriable  # type: ignore[union-attr]
    assert "secret" not in caplog.text


async def test_name_goes_to_the_address_that_was_checked() -> None:
    """The connection is made to what the resolver said; nobody asks again in between."""
    async with raw_app(always(response(b"here"))) as app:
        port = app.url.rpartition(":")[2]
        names = Names(["127.0.0.1"])
        for host in ("Some-Name.invalid", "some-name.invalid.", "b\u00fccher.invalid"):
            outcome = await send(get(f"http://{host}:{port}/"), names)
            assert isinstance(outcome, Responded), outcome
    assert names.asked == ["some-name.invalid", "some-name.invalid.", "xn--bcher-kva.invalid"]
    assert [r.headers["host"] for r in app.requests] == [f"{name}:{port}" for name in names.asked]


async def test_name_that_changes_between_check_and_connect_gains_nothing() -> None:
    """A request asks for its name once, and a later one goes where the name points by then."""
    async with raw_app(always(response(b"here"))) as app:
        names = Names(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"])
        url = app.url.replace("127.0.0.1", "moving.invalid")
        assert isinstance(await send(get(url), names), Responded)
        assert len(names.asked) == 1
        assert "not a public address" in refused(await send(get(url), names, outbound_private_addresses=False))
        assert len(names.asked) == 2
    assert len(app.requests) == 1


async def test_next_address_is_tried_when_one_takes_no_connection() -> None:
    """A name with several addresses works as long as one of the first does."""
    async with raw_app(always(response(b"here"))) as app:
        outcome = await send(get(app.url.replace("127.0.0.1", "two.invalid")), Names(["127.0.0.9", "127.0.0.1"]))
    assert isinstance(outcome, Responded)
    assert len(app.requests) == 1


async def test_unknown_name_is_worth_a_retry() -> None:
    """Name servers fail for a moment, too."""
    outcome = await send(get("http://nowhere.invalid/"), Names([]))
    assert outcome == NotSent("the name nowhere.invalid cannot be resolved", retriable=True)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[::7f00:1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_private_addresses_are_refused_outside_of_development(host: str) -> None:
    """However they are written; the reason names the setting that allows them, and a retry would not help."""
    outcome = await send(get(f"http://{host}:9/"), outbound_private_addresses=False)
    assert "PENSTOCK_OUTBOUND_PRIVATE_ADDRESSES" in refused(outcome)
    assert not outcome.retriable  # type: ignore[union-attr]


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:10.0.0.1"]])
async def test_name_with_a_private_address_is_refused(addresses: list[str]) -> None:
    """One is enough, whichever place it has: nobody with good intentions mixes them."""
    outcome = await send(get("http://mixed.invalid/"), Names(addresses), outbound_private_addresses=False)
    assert "mixed.invalid is not a public address" in refused(outcome)


async def test_localhost_is_refused_outside_of_development() -> None:
    """With the system's own resolver."""
    assert LOOPBACK in await resolve_host("localhost")
    outcome = await send(get("http://localhost:9/"), outbound_private_addresses=None, mode="cloud")
    assert "localhost is not a public address" in refused(outcome)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    """What anybody on the internet can reach."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(("mode", "allowed", "expected"), [("dev", None, True), ("cloud", None, False)])
def test_the_mode_decides_unless_the_setting_says_otherwise(mode: Any, allowed: bool | None, expected: bool) -> None:
    """Development may talk to itself; elsewhere it must be allowed, and development may forbid it."""
    assert ExecutorSettings(mode=mode, outbound_private_addresses=allowed).private_addresses_allowed() is expected
    assert ExecutorSettings(mode=mode, outbound_private_addresses=not expected).private_addresses_allowed() != expected


async def test_cancelled_request_lets_the_connection_go() -> None:
    """Whoever cancels gets the cancellation, and the server sees the connection close."""
    arrived = asyncio.Event()

    async def hang(received: Received, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await writer.wait_closed()

    async with raw_app(hang) as app:
        sender = HttpSender(ExecutorSettings(outbound_private_addresses=True))
        task = asyncio.create_task(sender.send(get(app.url)))
        await asyncio.wait_for(arrived.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sender.close()
