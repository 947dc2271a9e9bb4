"""Functions by name over HTTP, on a real broker: what an invocation, a cancellation and a signal leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from penstock.kafka import clients
from penstock.kafka.registry import FunctionRegistry
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, is_ulid, run_partition
from penstock.messages.records import Event, Record, StartRun
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import Stack, wait_until
from tests.unit.functions.bodies import body, function

from .ingest_process import eventually, ingest
from .steps_app import StepsApp

RUN = "01M3250V000000000000000001"
SEED = {"x-inngest-event-id-seed": "1790000000000,AAAAAAAAAAAAAA=="}
KEY = FunctionKey("shop/shop-import")


def records_on(kafka: KafkaSettings, topic: str, partitions: int) -> list[tuple[int, Record]]:
    """Everything that lies on a topic now, with its partition."""
    codec, consumer = Codec(), Consumer(clients.consumer(kafka, "test", "test"))
    found: list[tuple[int, Record]] = []
    try:
        for number in range(partitions):
            place = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=20)
            consumer.assign([place])
            for _ in range(end):
                message = consumer.poll(20)
                assert message is not None
                assert message.error() is None
                found.append((number, codec.decode(message.value() or b"")))
    finally:
        consumer.close()
    return found


async def test_an_invocation_lies_with_the_runs_owner(kafka_settings: KafkaSettings) -> None:
    """The command in the run's partition, the event that tells of it beside; sent again, both say the same."""
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        await running.http.post("/fn/register", content=body(function()))
        answers = [await running.http.post("/invoke/shop-import", json={"data": {"n": 1}}, headers=SEED) for _ in "ab"]
        assert [answer.status_code for answer in answers] == [200, 200]
    topics = kafka_settings.topics()
    starts = records_on(kafka_settings, topics.run_steps, kafka_settings.run_partitions)
    told = records_on(kafka_settings, topics.internal_events, kafka_settings.event_partitions)
    assert len(starts) == len(told) == 2
    for partition, start in starts:
        assert isinstance(start, StartRun)
        assert start.function == KEY
        assert partition == run_partition(start.run_id, kafka_settings.run_partitions)
    assert len({start.run_id for _, start in starts if isinstance(start, StartRun)}) == 1
    ids = {event.internal_id for _, event in told if isinstance(event, Event)}
    assert ids == {answer.json()["id"] for answer in answers}


async def test_a_cancellation_is_known_to_every_registry(kafka_settings: KafkaSettings) -> None:
    """Also to one that starts later, also after ingest has started again; a deleted one to none."""
    wanted = {"app_id": "shop", "function_id": "shop-import", "started_before": "2026-08-01T00:00:00Z"}
    follower = FunctionRegistry(kafka_settings, Codec())
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        await follower.start()
        await running.http.post("/fn/register", content=body(function()))
        kept, gone = [(await running.http.post("/v1/cancellations", json=wanted)).json()["data"]["id"] for _ in "ab"]
        assert (await running.http.delete(f"/v1/cancellations/{gone}")).status_code == 200
        assert [found["id"] for found in (await running.http.get("/v1/cancellations")).json()["data"]] == [kept]

    async def followed() -> bool:
        return [each.id for each in follower.table.cancellations(KEY)] == [kept]

    await eventually(followed)
    await follower.close()
    late = FunctionRegistry(kafka_settings, Codec())
    await late.start()
    assert [each.id for each in late.table.cancellations()] == [kept]
    await late.close()
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        assert (await running.http.delete(f"/v1/cancellations/{gone}")).status_code == 404
        assert (await running.http.delete(f"/v1/cancellations/{kept}")).status_code == 200


async def test_without_an_executor_nobody_is_told_anything(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 within a bound for what only an owner of runs can answer."""
    monkeypatch.setattr("penstock.ingest.forwarding.FIND_OWNER_SECONDS", 0.5)
    async with ingest(kafka_settings) as running:
        await running.wait_ready()
        checkpoint = {"run_id": RUN, "qi_id": "q", "request_id": "r", "steps": []}
        answers = await asyncio.gather(
            running.http.post("/v1/signals", json={"signal": "s"}),
            running.http.post(f"/v1/checkpoint/{RUN}/async", json=checkpoint),
        )
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "1")] * 2


@pytest.fixture
def app() -> Iterator[StepsApp]:
    app = StepsApp(app="shop", sleep="10ms")
    yield app
    app.stop()


@pytest.fixture
def running(stack: StartStack, app: StepsApp) -> Stack:
    started = stack(retry_interval=1)
    app.register(started.url, event="never/sent")
    return started


@pytest.mark.timeout(240)
def test_functions_are_run_by_name(running: Stack, app: StepsApp) -> None:
    """Invocations run to their end, the same key runs once, and what no run waits for is a clear 404 or 409."""
    with httpx.Client(base_url=running.url, timeout=30) as http:
        assert [found["id"] for found in http.get("/v1/apps/shop/functions").json()] == ["shop-chain"]
        assert http.post("/invoke/shop-chain", json={"data": {"n": 1}}).status_code == 200
        first, again = [
            http.post(
                "/v2/apps/shop/functions/chain/invoke", json={"data": {"n": 2}, "idempotency_key": "order 2"}
            ).json()["data"]["run_id"]
            for _ in "ab"
        ]
        assert is_ulid(first)
        assert first == again
        other = http.post("/v2/apps/shop/functions/chain/invoke", json={"data": {"n": 3}}).json()["data"]["run_id"]
        wait_until(lambda: len(app.returned) == 3, 60, running.text)

        def run(run_id: str) -> dict[str, object]:
            found = http.get(f"/v1/runs/{run_id}")
            return dict(found.json()["data"]) if found.status_code == 200 else {}

        for run_id, n in ((first, 2), (other, 3)):
            wait_until(lambda run_id=run_id: run(run_id).get("status") == "Completed", 60, running.text)
            assert run(run_id)["output"] == n
        assert app.returned == {1: 1, 2: 1, 3: 1}

        nobody = http.post("/v1/signals", json={"signal": "task/1", "data": {}})
        assert (nobody.status_code, nobody.json()["status"]) == (404, 404)
        checkpoint = {"run_id": first, "qi_id": "discover/start", "request_id": "r", "steps": []}
        stale = http.post(f"/v1/checkpoint/{first}/async", json=checkpoint)
        assert stale.status_code == 409, stale.text


@pytest.mark.timeout(240)
def test_one_key_at_once(running: Stack, app: StepsApp) -> None:
    """Many requests with one key at the same time hear of one run, and it runs once."""

    async def ask() -> set[str]:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            path, sent = "/v2/apps/shop/functions/chain/invoke", {"data": {"n": 7}, "idempotency_key": "k"}
            answers = await asyncio.gather(*(http.post(path, json=sent) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        return {answer.json()["data"]["run_id"] for answer in answers}

    told = asyncio.run(ask())
    assert len(told) == 1
    wait_until(lambda: app.returned[7] == 1, 60, running.text)
    assert set(app.executed.values()) == {1}
