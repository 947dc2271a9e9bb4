"""Whatever an app answers to a sync: it is registered, or the reason is told, and the next sync is as good as ever."""

from __future__ import annotations

import asyncio
import json

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.expressions.expression import compile_expression
from penstock.functions.registration import parse_registration
from penstock.ingest.registrar import Registrar
from penstock.ingest.sync import AppSync
from penstock.settings import ServerSettings
from tests.property.effort import examples
from tests.unit.functions.bodies import URL, body, function
from tests.unit.ingest.doubles import NOW, MemoryTopics, open_publisher

from .test_ingest_fuzz import JSON, functions, registrations, rows

KEYED = ServerSettings(mode="cloud", app_urls=URL, signing_key="signkey-test-abcd")
IN_BAND = {"x-inngest-sync-kind": "in_band"}
SAID = {"app_id": "shop", "url": URL, "functions": json.loads(body(function()))["functions"]}
ANSWER_KEYS = ("app_id", "url", "functions", "sdk_language", "sdk_version", "framework", "message", "error", "env")
answers = st.one_of(
    st.binary(max_size=100),
    registrations,
    JSON.map(json.dumps).map(str.encode),
    rows(ANSWER_KEYS, JSON).map(lambda changes: json.dumps(SAID | changes).encode()),
    st.lists(functions, max_size=3).map(lambda found: json.dumps(SAID | {"functions": found}).encode()),
)
header_values = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n\0"))
headers = st.dictionaries(
    st.sampled_from(["x-inngest-sync-kind", "content-encoding", "content-type", "x-inngest-sdk", "retry-after"]),
    header_values | st.sampled_from([b"in_band", b"gzip", b"identity", b"application/json"]),
)
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 500, 503])


def told(**changes: object) -> bytes:
    return json.dumps(SAID | changes).encode()


@settings(deadline=None, max_examples=examples(50))
@given(statuses, headers | headers.map(lambda found: found | IN_BAND), answers)
@example(200, IN_BAND, told(sdk_language="x" * 255, sdk_version="1" * 255))
@example(200, IN_BAND, told(url="http://127.0.0.1:70000/"))
@example(200, IN_BAND, told(url="http://127.0.0.1:0/"))
@example(200, IN_BAND, b"[" * 100_000)
@example(200, IN_BAND, b'{"app_id":' * 900 + b"1" + b"}" * 900)
@example(500, {}, b'{"message":' * 900 + b"1" + b"}" * 900)
@example(500, {}, b'{"message":"\\ud800"}')
def test_no_answer_breaks_a_sync(status: int, sent: dict[str, object], answer: bytes) -> None:
    """A failure has words of its own, and leaves what was registered; the next good answer is taken."""
    replies = [httpx.Response(200, headers=IN_BAND, content=told())]

    def app(_request: httpx.Request) -> httpx.Response:
        return replies[-1]

    async def synced() -> tuple[str | None, str | None, MemoryTopics]:
        topics = MemoryTopics()
        registrar = Registrar(open_publisher(topics), lambda: NOW)
        await registrar.register(parse_registration(body(function()), compile_expression))
        async with httpx.AsyncClient(transport=httpx.MockTransport(app)) as client:
            sync = AppSync(KEYED, registrar, client, lambda: NOW)
            replies.append(httpx.Response(status, headers=sent, stream=Sent(answer)))  # type: ignore[arg-type]
            error = await sync.sync_now(URL)
            known = [registered.config.slug for registered in topics.table.functions()]
            assert error is None or known == ["shop-import"]
            replies.append(httpx.Response(200, headers=IN_BAND, content=told()))
            return error, await sync.sync_now(URL), topics

    error, after, topics = asyncio.run(synced())
    assert error is None or (error and "the server failed" not in error and len(error) < 2000)
    assert after is None
    assert "shop-import" in [registered.config.slug for registered in topics.table.functions()]


class Sent(httpx.AsyncByteStream):
    """Bytes as they come from a socket: nothing is unpacked before it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield self._content
