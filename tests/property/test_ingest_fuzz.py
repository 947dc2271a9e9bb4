"""Whatever strangers send: ingest answers with less than 500, and what it accepts can be read by everybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.messages.incoming import Arrival, IncomingEvents
from tests.property.effort import examples
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import CODEC, TOPICS, MemoryTopics, client, served

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["a/b", "inngest/x", "1h", "* * * * *", "event.data.x == 1", "http://127.0.0.1:1/x"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
EVENT_KEYS = ("name", "data", "id", "ts", "user", "v", "meta", "Name", "DATA", "other")
FUNCTION_KEYS = (
    *("id", "name", "triggers", "steps", "retries", "concurrency", "throttle", "rateLimit", "idempotency"),
    *("debounce", "batchEvents", "priority", "cancel", "timeouts", "Singleton", "checkpoint", "other"),
)
PART_KEYS = (
    *("event", "expression", "cron", "jitter", "limit", "key", "scope", "period", "burst", "timeout", "maxSize"),
    *("if", "run", "start", "finish", "mode", "fn", "step", "runtime", "url", "type", "attempts"),
)


def rows(keys: tuple[str, ...], values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Objects that look like the real thing more often than chance allows."""
    return st.dictionaries(st.sampled_from(keys), values, max_size=6)


events = rows(EVENT_KEYS, JSON)
mostly_events = rows(EVENT_KEYS, JSON).map(lambda row: {"name": "shop/a"} | row)
event_bodies = st.one_of(
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    (events | mostly_events).map(json.dumps).map(str.encode),
    st.lists(events | mostly_events, max_size=6).map(json.dumps).map(str.encode),
)
headers = st.dictionaries(
    st.sampled_from(["content-type", "x-inngest-event-id-seed", "content-encoding", "content-length-x"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    | st.sampled_from(["1790000000000,AAAAAAAAAAAAAA==", "application/json", "multipart/form-data"]),
)
parts = JSON | rows(PART_KEYS, JSON) | st.lists(rows(PART_KEYS, JSON), max_size=3)
functions = rows(FUNCTION_KEYS, parts).map(lambda changes: function() | changes)
registrations = st.one_of(
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    st.builds(
        lambda app, url, found: json.dumps({"appname": app, "url": url, "functions": found}).encode(),
        st.just("shop") | st.text(max_size=20),
        st.just("http://127.0.0.1:1/x") | st.text(max_size=20),
        JSON,
    ),
    st.lists(functions, min_size=1, max_size=3).map(lambda found: body(*found)),
    st.lists(functions, min_size=1, max_size=1).map(lambda found: body(*found)),
)


def post(topics: MemoryTopics, path: str, content: bytes, sent: Mapping[str, str] | None = None) -> httpx.Response:
    """One request to a server of its own."""

    async def ask() -> httpx.Response:
        async with client(served(topics)) as http:
            return await http.post(path, content=content, headers=sent)

    return asyncio.run(ask())


@given(event_bodies, headers)
@settings(deadline=None, max_examples=examples(60))
def test_no_event_body_breaks_ingest(content: bytes, sent: dict[str, str]) -> None:
    """200 or 4xx, in the one shape, with exactly the ids of what lies on the topic."""
    topics = MemoryTopics()
    answer = post(topics, "/e/k", content, sent)
    said = answer.json()
    assert answer.status_code in (200, 400)
    assert said["status"] == answer.status_code
    assert ("error" in said) is (answer.status_code != 200)
    assert said["ids"] == [event.internal_id for event in topics.events()]


@given(event_bodies)
@settings(deadline=None, max_examples=examples(60))
def test_what_is_accepted_is_no_dead_letter(content: bytes) -> None:
    """The readers of the topic accept every event that was answered with an id, and change nothing of it."""
    topics = MemoryTopics()
    post(topics, "/e/k", content)
    reader = IncomingEvents(CODEC)
    for offset, (record, event) in enumerate(zip(topics.sent, topics.events(), strict=True)):
        arrival = Arrival(TOPICS.events, 0, offset, event.received_at, record.value, [])
        assert reader.decode(arrival) == event


@given(registrations)
@settings(deadline=None, max_examples=examples(60))
def test_no_registration_breaks_ingest(content: bytes) -> None:
    """200 with the app's id or 400 with a reason; only what was registered is in the table."""
    topics = MemoryTopics()
    answer = post(topics, "/fn/register", content)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["error"]
        assert topics.sent == []
    else:
        assert answer.json()["ok"] is True
        again = post(topics, "/fn/register", content)
        assert again.json()["modified"] is False


REQUEST_KEYS = (
    *("signal", "data", "app_id", "function_id", "started_before", "started_after", "if", "idempotency_key"),
    *("run_id", "qi_id", "request_id", "steps", "name", "id", "ts", "user"),
)
likely = JSON | st.sampled_from(
    ["shop", "shop-import", "2026-08-01T00:00:00Z", "0001-01-01", "event.data.x == 1", "own"]
)
requests = st.one_of(
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    rows(REQUEST_KEYS, likely).map(json.dumps).map(str.encode),
)
paths = st.sampled_from(
    [
        *("/invoke/shop-import", "/v2/apps/shop/functions/import/invoke", "/v1/signals", "/v1/cancellations"),
        "/v1/checkpoint/01M3250V000000000000000001/async",
    ]
)


@given(paths, requests, headers)
@settings(deadline=None, max_examples=examples(80))
def test_no_request_breaks_the_function_apis(path: str, content: bytes, sent: dict[str, str]) -> None:
    """200, or 4xx with a reason and nothing written that could be read as success."""
    topics = MemoryTopics()
    owner = httpx.Response(200, json={"run_id": "01M3250V000000000000000001", "job_id": "j", "taken": True})

    async def ask() -> httpx.Response:
        async with client(served(topics, owner=lambda _: owner)) as http:
            await http.post("/fn/register", content=body(function()))
            return await http.post(path, content=content, headers=sent)

    answer = asyncio.run(ask())
    assert answer.status_code in (200, 400, 404, 413), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]
        assert topics.on(TOPICS.run_steps) == []
        assert topics.table.cancellations() == ()


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=examples(50))
def test_no_name_breaks_the_function_apis(name: str) -> None:
    """Whatever stands where a function, an app or an id is expected."""
    quoted = quote(name, safe="")

    async def ask() -> list[httpx.Response]:
        async with client(served(MemoryTopics())) as http:
            await http.post("/fn/register", content=body(function()))
            return [
                await http.post(f"/invoke/{quoted}"),
                await http.post(f"/v2/apps/{quoted}/functions/{quoted}/invoke"),
                await http.get(f"/v1/apps/{quoted}/functions"),
                await http.delete(f"/v1/cancellations/{quoted}"),
            ]

    for answer in asyncio.run(ask()):
        assert answer.status_code in (200, 307, 400, 404, 405), answer.text
