"""`/v1/cancellations`: made, listed, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from penstock.messages.ids import FunctionKey, is_ulid
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import TOPICS, MemoryTopics, client, served

WANTED = {"app_id": "shop", "function_id": "shop-import", "started_before": "2026-08-01T00:00:00Z"}


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics()


@pytest.fixture
async def http(topics: MemoryTopics) -> AsyncIterator[httpx.AsyncClient]:
    async with client(served(topics)) as asking:
        await asking.post("/fn/register", content=body(function()))
        yield asking


async def test_made_and_listed(http: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """When it is answered, every reader of the functions topic can know it."""
    made = await http.post("/v1/cancellations", json=WANTED | {"if": "event.data.n == 1"})
    assert made.status_code == 200
    first = made.json()["data"]
    assert is_ulid(first["id"])
    assert (first["function_id"], first["if"], first["started_after"]) == ("shop-import", "event.data.n == 1", None)
    (known,) = topics.table.cancellations(FunctionKey("shop/shop-import"))
    assert (known.id, known.condition) == (first["id"], "event.data.n == 1")
    assert topics.sent[-1].key == f"cancellation/{first['id']}".encode()
    assert (await http.get("/v1/cancellations")).json()["data"] == [first]


async def test_taken_back(http: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """A tombstone; the second time it is unknown."""
    made = (await http.post("/v1/cancellations", json=WANTED)).json()["data"]["id"]
    gone = await http.delete(f"/v1/cancellations/{made}")
    assert (gone.status_code, gone.json()["data"]) == (200, {"ok": True})
    assert (topics.sent[-1].topic, topics.sent[-1].value) == (TOPICS.functions, None)
    assert topics.table.cancellations() == ()
    assert (await http.get("/v1/cancellations")).json()["data"] == []
    assert (await http.delete(f"/v1/cancellations/{made}")).status_code == 404
    assert (await http.delete("/v1/cancellations/nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"function_id": "shop-imprt"}, 404, "did you mean shop-import?"),
        ({"app_id": "other"}, 404, "of app 'other'"),
        ({"if": "event.data.n =="}, 400, "does not compile"),
        ({"started_before": "soon"}, 400, "ISO 8601"),
    ],
)
async def test_refused(
    http: httpx.AsyncClient, topics: MemoryTopics, changes: dict[str, str], status: int, reason: str
) -> None:
    """With what to do; nothing is written."""
    written = len(topics.sent)
    answer = await http.post("/v1/cancellations", json=WANTED | changes)
    assert answer.status_code == answer.json()["status"] == status
    assert reason in answer.json()["error"]
    assert len(topics.sent) == written


async def test_kafka_away_is_503(http: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """Nobody is told that runs are cancelled when no owner will hear of it."""
    topics.broken = True
    assert (await http.post("/v1/cancellations", json=WANTED)).status_code == 503
