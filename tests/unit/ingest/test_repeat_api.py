"""Runs and dead letters, again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import httpx
import pytest
from starlette.applications import Starlette

from penstock.errors import InvalidInput
from penstock.functions.config import FunctionConfig
from penstock.functions.repeating import PastRun, PastStep
from penstock.ingest.answers import on_penstock_error
from penstock.ingest.bodies import BodyReader
from penstock.ingest.repeat_api import RepeatApi
from penstock.messages.ids import FunctionKey
from penstock.messages.records import DeadLetter, Function, StartRun

from .doubles import NOW, TOPICS, MemoryTopics, open_publisher

RUN = "01M3250V000000000000000001"
LETTER = "01M3250V000000000000000002"
KEY = FunctionKey("shop/f")
PAST = PastRun(RUN, KEY, ('{"name":"a"}',), ("E1",), (PastStep("s0", "StepRun", "one", "1", False),))
DEAD = DeadLetter(TOPICS.events, 1, 2, NOW, b"key", b"{broken", "not JSON", NOW, {"h": b"v"})


@dataclass
class MemoryPast:
    """History, as a pair of dictionaries."""

    runs: dict[str, PastRun] = field(default_factory=lambda: {RUN: PAST})
    letters: dict[str, DeadLetter] = field(default_factory=lambda: {LETTER: DEAD})

    def run(self, run_id: str) -> PastRun | None:
        return self.runs.get(run_id)

    def dead_letter(self, letter_id: str) -> DeadLetter | None:
        return self.letters.get(letter_id)


@pytest.fixture
def topics() -> MemoryTopics:
    made = MemoryTopics()
    config = FunctionConfig(KEY, "shop", "f", "F", "http://127.0.0.1:1/x", ())
    made.table.apply(Function(KEY, "shop", "f", "F", 1, config.to_json(), NOW), 5)
    return made


@pytest.fixture
def past() -> MemoryPast:
    return MemoryPast()


@pytest.fixture
async def client(topics: MemoryTopics, past: MemoryPast) -> AsyncIterator[httpx.AsyncClient]:
    api = RepeatApi(open_publisher(topics), BodyReader(10_000), past, TOPICS, lambda: NOW)
    app = Starlette(routes=api.routes(), exception_handlers={InvalidInput: on_penstock_error})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as made:
        yield made


async def test_a_rerun_is_on_kafka_when_it_is_answered(client: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """With the id by which it can be followed."""
    answer = await client.post(f"/v1/runs/{RUN}/rerun")
    assert answer.status_code == 201
    (start,) = topics.on(TOPICS.run_steps)
    assert isinstance(start, StartRun)
    assert answer.json()["data"] == {"run_id": start.run_id, "rerun_of": RUN}
    assert (start.rerun_of, start.registry_offset) == (RUN, 5)


async def test_two_reruns_are_two_runs_unless_a_key_says_otherwise(client: httpx.AsyncClient) -> None:
    """Who sends a request again, with its key, gets the same run."""

    async def rerun(body: dict[str, str]) -> str:
        answer = await client.post(f"/v1/runs/{RUN}/rerun", json=body)
        return str(answer.json()["data"]["run_id"])

    assert await rerun({}) != await rerun({})
    assert await rerun({"idempotency_key": "k"}) == await rerun({"idempotency_key": "k"})


@pytest.mark.parametrize(
    ("run", "body", "status", "words"),
    [
        ("x", b"", 400, "not a run id"),
        ("01M3250V000000000000000009", b"", 404, "no run has the id"),
        (RUN, b"{", 400, "not JSON"),
        (RUN, b"[]", 400, "must be a JSON object"),
        (RUN, b'{"from_step":7}', 400, "from_step must be text"),
        (RUN, b'{"from_step":"nope"}', 400, "no finished step"),
    ],
)
async def test_what_cannot_be_rerun_is_refused_with_a_reason(
    client: httpx.AsyncClient, topics: MemoryTopics, run: str, body: bytes, status: int, words: str
) -> None:
    """And nothing is sent."""
    answer = await client.post(f"/v1/runs/{run}/rerun", content=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert topics.sent == []


async def test_a_function_that_is_gone_cannot_run(client: httpx.AsyncClient, past: MemoryPast) -> None:
    """The answer says to start its app."""
    past.runs[RUN] = replace(PAST, function=FunctionKey("shop/gone"))
    answer = await client.post(f"/v1/runs/{RUN}/rerun")
    assert (answer.status_code, "start its app" in answer.json()["error"]) == (409, True)


async def test_a_dead_letter_goes_back_as_it_lay(client: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """Key, value and headers, to its topic."""
    assert (await client.post(f"/v1/dead-letters/{LETTER}/resend")).status_code == 202
    (record,) = topics.sent
    assert (record.topic, record.key, record.value) == (TOPICS.events, b"key", b"{broken")
    assert record.headers == [("h", b"v")]


async def test_a_dead_letter_goes_back_repaired(client: httpx.AsyncClient, topics: MemoryTopics) -> None:
    """Only its value is another."""
    await client.post(f"/v1/dead-letters/{LETTER}/resend", json={"value": '{"name":"ü"}'})
    assert topics.sent[0].value == '{"name":"ü"}'.encode()


async def test_what_the_system_wrote_is_not_sent_again_by_hand(
    client: httpx.AsyncClient, topics: MemoryTopics, past: MemoryPast
) -> None:
    """A changelog's record sent late would undo what came after it."""
    past.letters[LETTER] = replace(DEAD, topic=TOPICS.waits)
    assert (await client.post(f"/v1/dead-letters/{LETTER}/resend")).status_code == 409
    assert (await client.post("/v1/dead-letters/nope/resend")).status_code == 404
    assert (await client.post(f"/v1/dead-letters/{LETTER}/resend", json={"value": 7})).status_code in (400, 409)
    assert topics.sent == []
