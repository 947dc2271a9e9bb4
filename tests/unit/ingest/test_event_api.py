"""`POST /e/<key>`: what senders are told, and what then lies on the topic."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from penstock.messages.ids import is_ulid
from penstock.settings import ServerSettings
from tests.unit.ingest.doubles import MemoryTopics, client, served

EVENT = {"name": "shop/order", "data": {"a": 1}}
SEED = {"x-inngest-event-id-seed": "1790000000000,AAAAAAAAAAAAAA=="}


async def test_one_event_is_answered_with_its_internal_id() -> None:
    """200, a list of one ULID, and the event on the topic under it."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        answer = await http.post("/e/any-key", json=EVENT | {"id": "mine"})
    assert answer.status_code == 200
    body = answer.json()
    assert body == {"ids": body["ids"], "status": 200}
    (event,) = topics.events()
    assert is_ulid(event.internal_id)
    assert body["ids"] == [event.internal_id]
    assert (event.id, event.name, event.data, event.source) == ("mine", "shop/order", '{"a":1}', "http")


async def test_records_carry_key_and_registry_offset() -> None:
    """The key is the event's id; the header says what functions the sender may rely on."""
    topics = MemoryTopics()
    topics.table.offset = 41
    async with client(served(topics)) as http:
        await http.post("/e/k", json=[EVENT | {"id": "mine"}, EVENT])
    first, second = topics.sent
    assert first.key == b"mine"
    assert second.key == topics.events()[1].internal_id.encode()
    assert first.headers == [("penstock-registry", b"41")]


async def test_a_batch_is_answered_in_order() -> None:
    """One id for each event, at its position."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        answer = await http.post("/e/k", json=[{"name": f"n{i}"} for i in range(50)])
    assert answer.json()["ids"] == [event.internal_id for event in topics.events()]
    assert [event.name for event in topics.events()] == [f"n{i}" for i in range(50)]


async def test_equal_seeds_give_equal_ids() -> None:
    """So a repeated POST starts nothing twice."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        answers = [await http.post("/e/k", json=[EVENT, EVENT], headers=SEED) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["ids"][0] == "01M3250V000000000000000001"


async def test_a_partial_batch_says_what_was_kept() -> None:
    """The Python SDK's test: one good event, two without a name, one id."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        answer = await http.post("/e/k", json=[EVENT, {"name": ""}, {"name": ""}])
    assert answer.status_code == 400
    assert answer.json()["ids"] == [topics.events()[0].internal_id]
    assert answer.json()["status"] == 400
    assert "event 1: name is missing" in answer.json()["error"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"content": b"{"}, "not JSON"),
        ({"content": b""}, "empty"),
        ({"data": {"name": "a"}}, "forms are not accepted"),
        ({"files": {"name": b"a"}}, "forms are not accepted"),
        ({"json": EVENT, "headers": {"x-inngest-event-id-seed": "never"}}, "x-inngest-event-id-seed"),
        ({"content": b"\x1f\x8b", "headers": {"content-encoding": "gzip"}}, "compressed"),
        ({"json": {"name": "inngest/x"}}, "the system's own"),
    ],
)
async def test_a_bad_request_is_400_and_nothing_is_sent(request_: dict[str, object], reason: str) -> None:
    """Status, no ids, and what to do."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        answer = await http.post("/e/k", **request_)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert answer.json()["ids"] == []
    assert reason in answer.json()["error"]
    assert topics.sent == []


async def test_json_is_json_whatever_it_is_called() -> None:
    """`curl -d` says that everything is a form."""
    topics = MemoryTopics()
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with client(served(topics)) as http:
        answer = await http.post("/e/k", content=b' {"name":"a"}', headers=form)
    assert answer.status_code == 200


async def test_a_body_larger_than_allowed_is_413() -> None:
    """The limit of the settings, with the limit in the message."""
    topics = MemoryTopics()
    server = ServerSettings(mode="dev", max_body_bytes=2048)
    async with client(served(topics, server)) as http:
        answer = await http.post("/e/k", json={"name": "a", "data": {"x": "y" * 2048}})
    assert answer.status_code == 413
    assert "2048 bytes" in answer.json()["error"]


async def test_cloud_lets_only_known_keys_in() -> None:
    """401 for another key or none; the header tells the kind of server."""
    topics = MemoryTopics()
    server = ServerSettings(mode="cloud", event_keys="good")
    async with client(served(topics, server)) as http:
        answers = [await http.post(path, json=EVENT) for path in ("/e/good", "/e/good/", "/e/bad", "/e/")]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 401]
    assert {answer.headers["x-inngest-server-kind"] for answer in answers} == {"cloud"}
    assert len(topics.events()) == 2


async def test_kafka_away_is_503_with_a_time_to_come_back() -> None:
    """Refused or not acknowledged in time: no id is given, and SDKs try again."""
    for topics in (MemoryTopics(broken=True), MemoryTopics(silent=True)):
        async with client(served(topics)) as http:
            answer = await asyncio.wait_for(http.post("/e/k", json=EVENT), 5)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["ids"] == []


async def test_before_kafka_is_there_events_are_503() -> None:
    """The answer says what the server waits for."""
    async with client(served(MemoryTopics(), opened=False)) as http:
        answer = await http.post("/e/k", json=EVENT)
    assert answer.status_code == 503
    assert "waiting for Kafka" in answer.json()["error"]


async def test_too_much_on_its_way_is_429() -> None:
    """What is not acknowledged is bounded; nothing of the refused request is sent."""
    topics = MemoryTopics(in_flight=10)
    server = ServerSettings(mode="dev", max_unacknowledged_events=10)
    async with client(served(topics, server)) as http:
        answer = await http.post("/e/k", json=EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        topics.in_flight = 9
        assert (await http.post("/e/k", json=EVENT)).status_code == 200
    assert len(topics.sent) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/e/k", 405), ("PUT", "/e/k", 405), ("POST", "/e/k/more", 404), ("GET", "/e", 404)],
)
async def test_other_methods_and_paths_are_explained(method: str, path: str, status: int) -> None:
    """Whoever comes the wrong way is shown the right one."""
    async with client(served(MemoryTopics())) as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert "POST /e/<event key>" in answer.json()["error"]


async def test_browsers_may_send_events() -> None:
    """CORS: the preflight is answered, and answers may be read from any page."""
    async with client(served(MemoryTopics())) as http:
        preflight = await http.options("/e/k", headers={"origin": "http://a.example"})
        answer = await http.post("/e/k", json=EVENT, headers={"origin": "http://a.example"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert preflight.headers["access-control-allow-headers"] == "*"
    assert preflight.headers.get_list("access-control-allow-origin") == ["*"]
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_an_unforeseen_failure_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The sender learns nothing of our insides; the log does."""

    class Surprising(MemoryTopics):
        def send_all(self, records: object) -> asyncio.Future[int]:
            raise ZeroDivisionError("secret")

    async with client(served(Surprising())) as http:
        answer: httpx.Response = await http.post("/e/k", json=EVENT)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text
