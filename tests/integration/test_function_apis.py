"""Functions by name over HTTP, on a real broker: what an invocation, a cancellation and a signal leave behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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
from .steps_app import HEADERS, StepsApp, step_id

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
def test_runs_are_cancelled_in_bulk(stack: StartStack) -> None:
    """Those whose event the expression means; the others go on, as do those that start once it is deleted."""
    asleep = StepsApp(app="shop", sleep="1h")
    try:
        started = stack(retry_interval=1)
        asleep.register(started.url, event="shop/start")
        with httpx.Client(base_url=started.url, timeout=30) as http:

            def start(*numbers: int) -> dict[int, str]:
                events = [{"name": "shop/start", "data": {"n": n}} for n in numbers]
                ids = http.post("/e/key", json=events).json()["ids"]
                wait_until(lambda: all(asleep.executed[n, "s1"] for n in numbers), 60, started.text)
                wait_until(lambda: all(http.get(f"/v1/events/{e}/runs").json()["data"] for e in ids), 60, started.text)
                found = [http.get(f"/v1/events/{event}/runs").json()["data"][0]["run_id"] for event in ids]
                return dict(zip(numbers, found, strict=True))

            def status(run_id: str) -> str:
                return str(http.get(f"/v1/runs/{run_id}").json()["data"]["status"])

            runs = start(1, 2, 3)
            wanted = {"app_id": "shop", "function_id": "chain", "if": "event.data.n < 3"}
            made = http.post("/v1/cancellations", json=wanted | {"started_before": "2099-01-01T00:00:00Z"})
            assert made.status_code == 400, "more than a year ahead"
            ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            made = http.post("/v1/cancellations", json=wanted | {"started_before": ahead})
            assert made.status_code == 200, made.text
            wait_until(lambda: [status(runs[n]) for n in (1, 2)] == ["Cancelled"] * 2, 60, started.text)
            assert http.delete(f"/v1/cancellations/{made.json()['data']['id']}").status_code == 200
            runs |= start(0)
            assert [status(runs[n]) for n in (3, 0)] == ["Running", "Running"]
    finally:
        asleep.stop()


class TalkingApp(StepsApp):
    """Reports a step while its call goes on, then waits for the signal `task/<n>`, and returns what it got."""

    def __init__(self, server: str) -> None:
        super().__init__(app="shop")
        self.server = server
        self.checkpoints: list[tuple[int, str]] = []
        self.heard: dict[int, object] = {}

    async def _call(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        n, done, ctx = body["event"]["data"]["n"], body["steps"], body["ctx"]
        if step_id("first") not in done:
            await self._checkpoint(ctx, {"op": "StepRun", "id": step_id("first"), "name": "first", "data": {"n": n}})
        if step_id("wait") not in done:
            opts = {"signal": f"task/{n}", "timeout": "1h"}
            return self._ops({"op": "WaitForSignal", "id": step_id("wait"), "name": "wait", "opts": opts})
        self.heard[n] = done[step_id("wait")]
        return JSONResponse([done[step_id("first")], done[step_id("wait")]], headers=HEADERS)

    async def _checkpoint(self, ctx: dict[str, Any], step: dict[str, Any]) -> None:
        told = {key: ctx[key] for key in ("run_id", "fn_id", "qi_id", "request_id", "generation_id")}
        async with httpx.AsyncClient(timeout=30) as http:
            for asked in (told, told | {"request_id": "another"}):
                url = f"{self.server}/v1/checkpoint/{ctx['run_id']}/async"
                answer = await http.post(url, json={**asked, "steps": [step], "ts": 0})
                self.checkpoints.append((answer.status_code, answer.text))


@pytest.mark.timeout(240)
def test_checkpoints_and_signals_reach_their_runs(stack: StartStack) -> None:
    """A step that is reported within a call is remembered, a stale call is told so; a signal reaches its one run."""
    started = stack(retry_interval=1)
    talking = TalkingApp(started.url)
    talking.register(started.url, event="shop/start")
    try:
        with httpx.Client(base_url=started.url, timeout=30) as http:
            run_id = http.post("/v2/apps/shop/functions/chain/invoke", json={"data": {"n": 5}}).json()["data"]["run_id"]
            sent: list[httpx.Response] = []

            def signalled() -> bool:
                sent.append(http.post("/v1/signals", json={"signal": "task/5", "data": {"ok": True}}))
                return sent[-1].status_code == 200

            wait_until(signalled, 60, started.text)
            assert sent[-1].json()["data"] == {"run_id": run_id}
            assert {answer.status_code for answer in sent[:-1]} <= {404}
            wait_until(lambda: 5 in talking.heard, 60, started.text)
            assert talking.heard[5] == {"data": {"signal": "task/5", "data": {"ok": True}}}
            assert [status for status, _ in talking.checkpoints] == [200, 409], talking.checkpoints
            assert http.post("/v1/signals", json={"signal": "task/5"}).status_code == 404
    finally:
        talking.stop()


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
