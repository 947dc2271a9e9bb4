"""Functions invoked by name: what lies on the topics then, and what the caller is told."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import orjson
import pytest

from penstock.functions.registration import function_key
from penstock.ingest import invoke_api
from penstock.messages.ids import FunctionKey, function_uuid, is_ulid, run_partition, ulid
from penstock.messages.records import Event, StartRun
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import TOPICS, Answering, MemoryTopics, client, served

KEY = FunctionKey("shop/shop-import")
V2 = "/v2/apps/shop/functions/import/invoke"
SEED = {"x-inngest-event-id-seed": "1790000000000,AAAAAAAAAAAAAA=="}


class World:
    """An application that knows one function, and what it wrote since."""

    def __init__(self, owner: Answering | None = None) -> None:
        self.topics = MemoryTopics()
        self._app = served(self.topics, owner=owner)

    async def post(self, path: str, content: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
        async with client(self._app) as http:
            if self.topics.table.function(KEY) is None:
                await http.post("/fn/register", content=body(function()))
            sent = content if isinstance(content, bytes) else b"" if content is None else orjson.dumps(content)
            return await http.post(path, content=sent, headers=headers)

    def starts(self) -> list[StartRun]:
        return [record for record in self.topics.on(TOPICS.run_steps) if isinstance(record, StartRun)]

    def told(self) -> list[Event]:
        return [record for record in self.topics.on(TOPICS.internal_events) if isinstance(record, Event)]


async def test_an_invocation_starts_that_function_only() -> None:
    """One command to the run's owner, and one internal event that says so."""
    world = World()
    answer = await world.post("/invoke/shop-import", {"data": {"n": 1}, "user": {"id": 7}, "v": "2"})
    assert (answer.status_code, answer.json()["status"]) == (200, 200)
    (start,), (event,) = world.starts(), world.told()
    assert start.function == KEY
    assert answer.json() == {"id": event.internal_id, "status": 200}
    assert start.event_ids == (event.internal_id,)
    assert (event.name, event.source, event.user, event.v) == ("inngest/function.invoked", "invoke", '{"id":7}', "2")
    data = {"n": 1, "_inngest": {"fn_id": str(function_uuid(KEY))}}
    assert orjson.loads(event.data) == data
    seen = orjson.loads(start.events[0])
    assert (seen["id"], seen["name"], seen["data"]) == (event.internal_id, "inngest/function.invoked", data)
    (command,) = [record for record in world.topics.sent if record.topic == TOPICS.run_steps]
    assert command.partition == run_partition(start.run_id, TOPICS.run_partitions)
    assert start.registry_offset == world.topics.table.offset
    assert world.topics.events() == []


async def test_the_same_seed_starts_the_same_run() -> None:
    """The seed's number is used as it is, unlike that of events."""
    world = World()
    answers = [await world.post("/invoke/shop-import", {}, SEED) for _ in range(2)]
    assert [answer.json()["id"] for answer in answers] == [ulid(1_790_000_000_000, bytes(10))] * 2
    assert len({start.run_id for start in world.starts()}) == 1


async def test_an_id_of_the_callers_own_deduplicates() -> None:
    """As it does for events."""
    world = World()
    await world.post("/invoke/shop-import", {"id": "order-1"})
    (start,) = world.starts()
    assert start.dedupe_key == "order-1"
    assert orjson.loads(start.events[0])["id"] == "order-1"


@pytest.mark.parametrize("name", ["shop-import", str(function_uuid(KEY)), "shop%2Fshop-import"])
async def test_every_name_of_a_function_will_do(name: str) -> None:
    """An empty body too."""
    world = World()
    assert (await world.post(f"/invoke/{name}")).status_code == 200
    assert [start.function for start in world.starts()] == [KEY]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "one JSON object"),
        (b"[{}, {}]", 400, "2 events in one invocation"),
        (b"5", 400, "must be an event"),
        ({"data": 5}, 400, "data must be a JSON object"),
        ({"ts": -1}, 400, "ts"),
        ({"data": {"x": "y" * 3 * 1024 * 1024}}, 413, "at most 3 MiB"),
    ],
)
async def test_a_broken_body_starts_nothing(content: object, status: int, reason: str) -> None:
    """Refused as events are."""
    world = World()
    answer = await world.post("/invoke/shop-import", content)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert world.starts() == world.told() == []


async def test_a_broken_seed_is_refused() -> None:
    """A seed that cannot make retries harmless must not pretend to."""
    answer = await World().post("/invoke/shop-import", {}, {"x-inngest-event-id-seed": "soon"})
    assert answer.status_code == 400
    assert "not a seed" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/invoke/shop-imprt", "/v2/apps/shop/functions/imprt/invoke"])
async def test_an_unknown_function_is_404_with_a_hint(path: str) -> None:
    """Nothing is written."""
    world = World()
    answer = await world.post(path, {})
    assert answer.status_code == 404
    assert "could not find function with ID" in answer.json()["error"]
    assert "did you mean shop-import?" in answer.json()["error"]
    assert world.starts() == []


async def test_while_functions_are_not_read_none_is_unknown() -> None:
    """503, so that the caller tries again."""
    async with client(served(MemoryTopics(), opened=False)) as http:
        answer = await http.post("/invoke/shop-import", content=b"{}")
    assert answer.status_code == 503


async def test_kafka_away_is_503() -> None:
    """Without acknowledgement nothing has happened that the caller may rely on."""
    world = World()
    await world.post("/invoke/shop-import")
    world.topics.silent = True
    assert (await world.post("/invoke/shop-import")).status_code == 503


async def test_the_second_version_names_the_run() -> None:
    """Without a key every request starts a run of its own."""
    world = World()
    answers = [await world.post(V2, {"data": {"n": 1}}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    told = [answer.json()["data"]["run_id"] for answer in answers]
    assert told == [start.run_id for start in world.starts()]
    assert len(set(told)) == 2
    assert answers[0].json().keys() == {"data", "metadata"}
    assert orjson.loads(world.told()[0].data)["n"] == 1


async def test_a_key_gives_the_run_that_it_started_first() -> None:
    """The owner of the key says which run that is; the key deduplicates apart from ids of events."""
    first = ulid(1, bytes(10))
    asked: list[httpx.URL] = []

    def owner(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"run_id": first})

    world = World(owner)
    answer = await world.post(V2, {"data": {}, "idempotency_key": "order 1/ä"})
    assert answer.json()["data"]["run_id"] == first
    (start,) = world.starts()
    assert is_ulid(start.run_id)
    assert start.dedupe_key == "invoke/order 1/ä"
    assert dict(asked[0].params) == {
        "partition": str(run_partition(start.run_id, TOPICS.run_partitions)),
        "function": KEY,
        "event_id": "invoke/order 1/ä",
    }


async def test_a_key_has_one_partition() -> None:
    """Whenever it is used: its owner alone decides which request was first."""
    world = World(lambda _: httpx.Response(200, json={"run_id": "x"}))
    for _ in range(3):
        await world.post(V2, {"idempotency_key": "k"}, {"x-inngest-event-id-seed": ""})
    assert len({run_partition(start.run_id, 4096) for start in world.starts()}) == 1


async def test_an_owner_that_has_not_come_so_far_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is on its way; 503 when it takes too long, and the key makes asking again harmless."""
    monkeypatch.setattr(invoke_api, "PAUSE_SECONDS", 0.0)
    answers = [httpx.Response(404), httpx.Response(404), httpx.Response(200, json={"run_id": "01X"})]
    world = World(lambda _: answers.pop(0))
    assert (await world.post(V2, {"idempotency_key": "k"})).json()["data"]["run_id"] == "01X"
    monkeypatch.setattr(invoke_api, "FIRST_RUN_SECONDS", 0.02)
    slow = World(lambda _: httpx.Response(404))
    refused = await slow.post(V2, {"idempotency_key": "k"})
    assert refused.status_code == 503
    assert "the same idempotency_key" in refused.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "JSON object"),
        ({"data": []}, 400, "data must be a JSON object"),
        ({"idempotency_key": 5}, 400, "idempotency_key must be text"),
        ({"idempotency_key": "x" * 513}, 413, "at most 512"),
    ],
)
async def test_a_broken_second_version(content: object, status: int, reason: str) -> None:
    """Refused with the key that is wrong."""
    world = World()
    answer = await world.post(V2, content)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert world.starts() == []


@pytest.mark.parametrize("app", ["a/b", "/", "x/functions/y", "50%"])
@pytest.mark.parametrize("slug", ["f", "g/h", "g/functions/h"])
async def test_any_name_that_sdks_allow_can_be_invoked(app: str, slug: str) -> None:
    """Slashes in the names of apps and functions, and the very words that stand between them in the path."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        await http.post("/fn/register", content=body(function(slug), appname=app))
        answer = await http.post(f"/v2/apps/{quote(app, safe='')}/functions/{quote(slug, safe='')}/invoke")
        listed = await http.get(f"/v1/apps/{quote(app, safe='')}/functions")
    assert answer.status_code == 200, answer.text
    (start,) = [record for record in topics.on(TOPICS.run_steps) if isinstance(record, StartRun)]
    assert start.function == function_key(app, slug)
    assert [row["id"] for row in listed.json()] == [slug]
