"""GraphQL, the live stream and the API's description, over the read model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from graphql import get_introspection_query
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse

from penstock.history import api
from penstock.history.database import reader_engine
from penstock.history.live import Live
from penstock.history.read import HistoryReadModel
from penstock.messages.ids import app_uuid, function_uuid
from penstock.settings import HistorySettings

from .test_history_api import FUNCTION, History, event, event_id, run_id, state_of_run


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=api.routes(HistorySettings(data_dir=tmp_path)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as made:
        yield made


@pytest.fixture
def history(tmp_path: Path, client: httpx.AsyncClient) -> History:
    return History(HistorySettings(data_dir=tmp_path), client)


async def ask(client: httpx.AsyncClient, query: str, **variables: Any) -> Any:
    response = await client.post("/v0/gql", json={"query": query, "variables": variables})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_run_with_its_trace_and_outputs(client: httpx.AsyncClient, history: History) -> None:
    """Status and output together; a span for each step, whose output is asked for by its id."""
    history.add(event(1), *state_of_run(1))
    query = """query($id: String!) { run(runID: $id) {
      status output traceID isBatch batchCreatedAt cronSchedule startedAt queuedAt endedAt functionID appID
      trace(preview: true) { name runID status attempts isRoot parentSpanID spanID startedAt endedAt duration outputID
        childrenSpans { name attempts stepOp status outputID parentSpanID
          stepInfo { __typename ... on RunStepInfo { type } } } } } }"""
    run = (await ask(client, query, id=run_id(1)))["data"]["run"]
    assert (run["status"], run["output"], run["isBatch"]) == ("COMPLETED", '{"ok": true}', False)
    assert run["functionID"] == str(function_uuid(FUNCTION))
    assert run["appID"] == str(app_uuid("shop"))
    (step,) = run["trace"]["childrenSpans"]
    assert (step["name"], step["attempts"], step["stepOp"], step["status"]) == ("charge", 2, "RUN", "COMPLETED")
    assert step["parentSpanID"] == run["trace"]["spanID"]
    output = "query($id: String!) { runTraceSpanOutputByID(outputID: $id) { data error { message name stack } } }"
    found = await ask(client, output, id=step["outputID"])
    assert found["data"]["runTraceSpanOutputByID"] == {"data": "7", "error": None}
    found = await ask(client, output, id=run["trace"]["outputID"])
    assert found["data"]["runTraceSpanOutputByID"]["data"] == '{"ok":true}'


async def test_an_event_and_what_it_started(client: httpx.AsyncClient, history: History) -> None:
    """By the id that sending it returned."""
    history.add(event(1), *state_of_run(1))
    query = "query($id: ID!) { event(query: {eventId: $id}) { id name functionRuns { id status output } } }"
    found = (await ask(client, query, id=event_id(1)))["data"]["event"]
    assert found["functionRuns"] == [{"id": run_id(1), "status": "COMPLETED", "output": '{"ok": true}'}]
    query = "query($id: ULID!) { eventV2(id: $id) { id idempotencyKey name raw runs { id function { name } status } } }"
    found = (await ask(client, query, id=event_id(1)))["data"]["eventV2"]
    assert (found["idempotencyKey"], orjson.loads(found["raw"])["data"]) == ("order-1", {"n": 1})
    assert found["runs"][0]["id"] == run_id(1)
    query = "query($id: String!) { runTrigger(runID: $id) { eventName IDs timestamp payloads isBatch batchID cron } }"
    found = (await ask(client, query, id=run_id(1)))["data"]["runTrigger"]
    assert (found["eventName"], found["IDs"], found["cron"]) == ("shop/paid", [event_id(1)], None)
    assert orjson.loads(found["payloads"][0])["id"] == "order-1"


async def test_lists_in_pages(client: httpx.AsyncClient, history: History) -> None:
    """With a filter and an order; the cursor goes on, and the total counts all."""
    history.add(*(record for number in range(5) for record in (event(number), *state_of_run(number, number % 2 == 0))))
    query = """query($after: String) { runs(first: 2, after: $after, orderBy: [{field: QUEUED_AT, direction: DESC}],
      filter: {from: "2000-01-01T00:00:00Z", status: [COMPLETED], query: "event.data.n >= 0 && output.ok"})
      { edges { cursor node { id status traceID } } pageInfo { hasNextPage endCursor } totalCount } }"""
    first = (await ask(client, query))["data"]["runs"]
    assert [edge["node"]["id"] for edge in first["edges"]] == [run_id(4), run_id(2)]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    second = (await ask(client, query, after=first["pageInfo"]["endCursor"]))["data"]["runs"]
    assert [edge["node"]["id"] for edge in second["edges"]] == [run_id(0)]
    assert second["pageInfo"]["hasNextPage"] is False
    query = """{ eventsV2(first: 3, filter: {from: "2000-01-01T00:00:00Z", eventNames: ["shop/paid"],
      includeInternalEvents: false}) { edges { node { id } } totalCount pageInfo { hasNextPage } } }"""
    found = (await ask(client, query))["data"]["eventsV2"]
    assert [edge["node"]["id"] for edge in found["edges"]] == [event_id(4), event_id(3), event_id(2)]
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (5, True)


@pytest.mark.parametrize(
    "query",
    [
        f'{{ run(runID: "{run_id(9)}") {{ status }} }}',
        '{ run(runID: "short") { status } }',
        f'{{ functionRun(query: {{functionRunId: "{run_id(9)}"}}) {{ output status }} }}',
        '{ event(query: {eventId: "nope"}) { id } }',
        f'{{ runTrigger(runID: "{run_id(9)}") {{ cron }} }}',
        '{ runTraceSpanOutputByID(outputID: "x") { data } }',
        '{ runs(first: 5, filter: {query: "event.data.n =="}) { totalCount } }',
        "{ runs(first: 0) { totalCount } }",
        "{ nothing }",
        "{ run(",
        "{" + "a{" * 500 + "}" * 500 + "}",
    ],
)
async def test_what_cannot_be_answered_is_an_error_with_200(
    client: httpx.AsyncClient, history: History, query: str
) -> None:
    """`data` is null and the message says why: helpers poll through that."""
    history.add(event(1))
    answer = await ask(client, query)
    assert answer["data"] is None
    assert answer["errors"][0]["message"]
    assert "server failed" not in answer["errors"][0]["message"]


async def test_introspection_is_allowed(client: httpx.AsyncClient, history: History) -> None:
    """Tools learn the schema; every type has its fields."""
    history.add(event(1))
    answer = await ask(client, get_introspection_query())
    assert "errors" not in answer
    assert {"FunctionRunV2", "RunTraceSpan", "StepInfo"} <= {one["name"] for one in answer["data"]["__schema"]["types"]}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"[]", 400, "the body has no query"),
        (b'{"query":"{ functions { id } }","variables":[1]}', 400, "variables must be an object"),
        (b'{"query":"' + b"x" * 70_000 + b'"}', 413, "a query may have"),
    ],
)
async def test_a_body_that_is_no_query(client: httpx.AsyncClient, body: bytes, status: int, message: str) -> None:
    """Refused, with what to send instead."""
    response = await client.post("/v0/gql", content=body)
    assert response.status_code == status
    assert message in response.json()["error"]


async def test_without_a_database_graphql_is_unavailable(client: httpx.AsyncClient) -> None:
    """As every other read, with when to come again."""
    response = await client.post("/v0/gql", json={"query": "{ functions { id } }"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_the_description_fits_what_is_answered(client: httpx.AsyncClient, history: History) -> None:
    """Every route is in it, every shape that it names exists, and answers have the fields that it promises."""
    history.add(event(1), *state_of_run(1, ended=False))
    document = (await client.get("/openapi.json")).json()
    shapes = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        if "application/json" not in str(operations) or path in ("/v0/gql", "/openapi.json"):
            continue
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]
        name = re.search(r"schemas/(\w+)", str(schema))
        assert name, path
        concrete = path.format(run_id=run_id(1), event_id=event_id(1), letter_id="x")
        response = await client.get(concrete, params={"function": "shop/paid"} if "functions/" in path else {})
        if response.status_code == 404:
            continue
        data = response.json()["data"]
        one = data[0] if isinstance(data, list) and data else data
        if one:
            missing = set(shapes[name[1]].get("required", ())) - set(one)
            assert not missing, (path, missing)


async def read_until(stream: AsyncIterator[bytes], wanted: str) -> str:
    """The first message with this event, within a bound."""
    async with asyncio.timeout(10):
        async for message in stream:
            if f"event: {wanted}" in message.decode():
                return message.decode()
    raise AssertionError(f"the stream ended without {wanted}")


async def opened(live: Live, **headers: str) -> AsyncIterator[bytes]:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/live",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    response = await live.endpoint(Request(scope))
    assert isinstance(response, StreamingResponse)
    return response.body_iterator  # type: ignore[return-value]


async def test_an_open_page_hears_of_changes(tmp_path: Path, history: History) -> None:
    """The ids, once they are visible; the database is asked only while somebody listens."""
    history.add(event(0))
    live = Live(HistoryReadModel(reader_engine(HistorySettings(data_dir=tmp_path).database_url())).changes, 0.01)
    assert not live.is_following
    stream = await opened(live)
    await read_until(stream, "hello")
    assert (live.listeners, live.is_following) == (1, True)
    history.add(event(1), *state_of_run(1))
    told = await read_until(stream, "changed")
    data = orjson.loads(told.partition("data: ")[2].strip())
    assert data["runs"]["started"] == [run_id(1)]
    assert data["runs"]["ended"] == [run_id(1)]
    assert data["events"] == [event_id(1)]
    await stream.aclose()  # type: ignore[attr-defined]
    assert (live.listeners, live.is_following) == (0, False)


async def test_a_page_that_was_away_goes_on_where_it_was(tmp_path: Path, history: History) -> None:
    """From the last id it saw; when that is no longer kept, or of another database, it is told to refresh."""
    for number in range(3):
        history.add(event(number))
    live = Live(HistoryReadModel(reader_engine(HistorySettings(data_dir=tmp_path).database_url())).changes, 0.01)
    stream = await opened(live, last_event_id="1")
    told = await read_until(stream, "changed")
    assert orjson.loads(told.partition("data: ")[2].strip())["events"] == [event_id(2), event_id(1)]
    assert "id: 3\n" in told
    await stream.aclose()  # type: ignore[attr-defined]
    history.forget_changes(before=3)
    for last_seen in ("1", "99"):
        stream = await opened(live, last_event_id=last_seen)
        assert "id: 3\n" in await read_until(stream, "refresh")
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_stream_cannot_begin_anywhere(client: httpx.AsyncClient, history: History) -> None:
    """`after` is a number of this stream."""
    history.add(event(0))
    response = await client.get("/v1/live?after=yesterday")
    assert response.status_code == 400
    assert "after must be the id of a message" in response.json()["error"]
