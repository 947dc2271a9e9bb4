"""Apps synced by the server: what they are sent, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from penstock.ingest.registrar import Registrar
from penstock.ingest.sync import AppSync
from penstock.messages.signature import verify
from penstock.settings import ServerSettings
from tests.unit.functions.bodies import URL, body, function
from tests.unit.ingest.doubles import NOW, MemoryTopics, open_publisher

KEY = "signkey-test-abcd"
DEV = ServerSettings(mode="dev", app_urls=URL)
KEYED = ServerSettings(mode="cloud", app_urls=URL, signing_key=KEY)

Answering = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]]


def syncing(topics: MemoryTopics, app: Answering, settings: ServerSettings = DEV) -> AppSync:
    """A sync whose apps all answer as given."""
    registrar = Registrar(open_publisher(topics), lambda: NOW)
    return AppSync(settings, registrar, httpx.AsyncClient(transport=httpx.MockTransport(app)), lambda: NOW)  # type: ignore[arg-type]


def in_band(*functions: dict[str, object], **changes: object) -> httpx.Response:
    """An app's answer in band."""
    said = json.loads(body(*functions))
    content = {"app_id": said["appname"], "url": URL, "functions": said["functions"], "sdk_language": "py"} | changes
    return httpx.Response(200, json=content, headers={"x-inngest-sync-kind": "in_band"})


async def register(topics: MemoryTopics) -> None:
    """The app is known already, by a registration of its own."""
    from penstock.expressions.expression import compile_expression
    from penstock.functions.registration import parse_registration

    await Registrar(open_publisher(topics), lambda: NOW).register(
        parse_registration(body(function()), compile_expression)
    )


async def test_an_app_is_put_its_url_and_our_kind() -> None:
    """Without a key nothing is signed, and the app registers by itself."""
    seen: list[httpx.Request] = []

    def app(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ok": True})

    topics = MemoryTopics()
    await syncing(topics, app).sync(URL)
    (request,) = seen
    assert (request.method, str(request.url)) == ("PUT", URL)
    assert json.loads(request.content) == {"url": URL}
    assert request.headers["x-inngest-server-kind"] == "dev"
    assert "x-inngest-signature" not in request.headers
    assert topics.sent == []


async def test_with_a_key_the_put_is_signed_and_asks_for_an_answer_in_band() -> None:
    """The functions in the answer are registered, at the URL that the app names."""

    def app(request: httpx.Request) -> httpx.Response:
        assert verify(KEY, request.headers["x-inngest-signature"], request.content, NOW // 1000)
        assert request.headers["x-inngest-sync-kind"] == "in_band"
        assert request.headers["x-inngest-server-kind"] == "cloud"
        return in_band(function())

    topics = MemoryTopics()
    await syncing(topics, app, KEYED).sync(URL)
    assert [registered.config.slug for registered in topics.table.functions()] == ["shop-import"]


async def test_the_same_answer_again_writes_nothing() -> None:
    """Polling costs a request, no records; a new function is noticed."""
    answers = [in_band(function()), in_band(function()), in_band(function(), function("other"))]
    topics = MemoryTopics()
    sync = syncing(topics, lambda _: answers.pop(0), KEYED)
    await sync.sync(URL)
    written = len(topics.sent)
    await sync.sync(URL)
    assert len(topics.sent) == written
    await sync.sync(URL)
    assert len(list(topics.table.functions())) == 2


PACKED = {"content-encoding": "gzip"}


def refuse(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (refuse, "cannot be reached: ConnectError: connection refused"),
        (lambda _: httpx.Response(400, json={"message": "expected Cloud"}), "answered 400: expected Cloud"),
        (lambda _: httpx.Response(500, text="<html>oops"), "answered 500: <html>oops"),
        (
            lambda _: httpx.Response(200, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"}),
            "compressed",
        ),
        (lambda _: in_band(function(id="")), "id"),
        (lambda _: httpx.Response(200, content=b"{", headers={"x-inngest-sync-kind": "in_band"}), "not JSON"),
    ],
)
async def test_a_failure_is_kept_with_the_app_once(
    app: Callable[[httpx.Request], httpx.Response], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its functions stay registered; the second equal failure writes and logs nothing."""
    topics = MemoryTopics()
    await register(topics)
    sync = syncing(topics, app)
    await sync.sync(URL)
    written, said = len(topics.sent), len(caplog.records)
    await sync.sync(URL)
    known = topics.table.app("shop")
    assert known is not None
    assert known.error is not None
    assert reason in known.error
    assert (len(topics.sent), len(caplog.records)) == (written, said)
    assert len(list(topics.table.functions())) == 1


async def test_an_unchanged_answer_clears_a_failure() -> None:
    """An app that was away and comes back as it was is healthy again."""
    answers: list[Callable[[httpx.Request], httpx.Response]] = [
        lambda _: in_band(function()),
        refuse,
        lambda _: in_band(function()),
    ]
    topics = MemoryTopics()
    sync = syncing(topics, lambda request: answers.pop(0)(request), KEYED)
    errors = []
    for _ in range(3):
        await sync.sync(URL)
        known = topics.table.app("shop")
        errors.append(known.error if known else "unknown")
    assert errors[0] is None
    assert errors[1] is not None
    assert errors[2] is None


async def test_a_failure_while_kafka_is_away_is_told_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be written then, and nothing breaks."""
    topics = MemoryTopics()
    await register(topics)
    topics.broken = True
    await syncing(topics, refuse).sync(URL)
    assert "could not be recorded" in caplog.text


async def test_rounds_do_not_wait_for_an_app_that_hangs() -> None:
    """The next round asks the others again, and the one that hangs not twice."""
    hangs, asked = asyncio.Event(), asyncio.Queue[str]()
    other = "http://127.0.0.1:8001/api/inngest"

    async def app(request: httpx.Request) -> httpx.Response:
        asked.put_nowait(str(request.url))
        if str(request.url) == URL:
            await hangs.wait()
        return httpx.Response(200, json={})

    settings = ServerSettings(mode="cloud", app_urls=f"{URL}, {other}", app_poll_seconds=0.001)
    running = asyncio.create_task(syncing(MemoryTopics(), app, settings).run())
    async with asyncio.timeout(5):
        seen = [await asked.get() for _ in range(4)]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert seen.count(URL) == 1
    assert seen.count(other) == 3


async def test_dev_polls_registered_apps_and_each_place_once() -> None:
    """Whatever name this machine has in the URL; a cloud server polls what it was told to only."""
    topics = MemoryTopics()
    await register(topics)
    given = URL.replace("127.0.0.1", "localhost")

    def urls(mode: str, app_urls: str) -> list[str]:
        return syncing(topics, refuse, ServerSettings(mode=mode, app_urls=app_urls)).urls()  # type: ignore[arg-type]

    assert urls("dev", "") == [URL]
    assert urls("dev", given) == [given]
    assert urls("cloud", "") == []


async def test_discovered_apps_are_synced() -> None:
    """What is found on this machine is treated like what was given."""
    asked = asyncio.Queue[str]()

    def app(request: httpx.Request) -> httpx.Response:
        asked.put_nowait(str(request.url))
        return httpx.Response(200, json={})

    async def look() -> AsyncIterator[str]:
        yield URL

    registrar = Registrar(open_publisher(MemoryTopics()), lambda: NOW)
    outgoing = httpx.AsyncClient(transport=httpx.MockTransport(app))
    sync = AppSync(ServerSettings(mode="dev"), registrar, outgoing, lambda: NOW, look)
    running = asyncio.create_task(sync.run())
    async with asyncio.timeout(5):
        assert await asked.get() == URL
    running.cancel()
    await asyncio.wait([running])
