"""Ingest while Kafka is away: bounded answers, and no 200 that is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.cli.broker.installation import Installation
from penstock.cli.broker.server import BrokerPlace, EmbeddedBroker
from penstock.ingest.owners import GroupOwners
from penstock.kafka.topics import create_topics
from penstock.settings import KafkaSettings
from tests.integration.group_member import Member
from tests.integration.ingest_process import Ingest, events_on_topic, eventually, ingest, settings

EVENT = {"name": "a/b"}


class OwnBroker:
    """A broker that a test may stop and start again on the same data and port."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self._installation = installation
        self._place = BrokerPlace.at(folder / "kafka")
        self._log = (folder / "broker.log").open("ab")
        self._broker: EmbeddedBroker | None = None
        self.kafka = KafkaSettings(kafka_bootstrap_servers=self._place.bootstrap_servers)

    def start(self) -> None:
        self._broker = EmbeddedBroker(self._installation, self._place, self._log)
        self._broker.wait_ready()

    def send(self, number: int) -> None:
        assert self._broker is not None
        self._broker.send(number)

    def stop(self) -> None:
        if self._broker is not None:
            self._broker.stop()
        self._broker = None

    def close(self) -> None:
        self.stop()
        self._log.close()


@pytest.fixture
def own_broker(installation: Installation, tmp_path: Path) -> Iterator[OwnBroker]:
    broker = OwnBroker(installation, tmp_path)
    yield broker
    broker.close()


async def is_accepted(running: Ingest, accepted: list[str]) -> bool:
    """One more event; its id joins the others when it is accepted."""
    answer = await running.http.post("/e/k", json=EVENT)
    accepted += answer.json()["ids"]
    return answer.is_success


async def holds(condition: bool) -> bool:
    """A plain condition as `eventually` takes it."""
    return condition


async def test_it_waits_for_kafka_and_says_so(own_broker: OwnBroker) -> None:
    """Health and senders hear 503 and what is missing, until Kafka is there; then all is well by itself."""
    async with ingest(own_broker.kafka) as running:
        health = await running.wait_status("/health", 503)
        assert "waiting for Kafka" in health.json()["error"]
        refused = await running.http.post("/e/k", json=EVENT)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (await running.http.post("/fn/register", json={})).status_code == 400
        assert not running.ready.is_set()
        await asyncio.to_thread(own_broker.start)
        await running.wait_ready()
        assert (await running.http.post("/e/k", json=EVENT)).status_code == 200
        await running.wait_status("/health", 200)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_without_kafka_senders_hear_503_in_time(own_broker: OwnBroker, how: str) -> None:
    """Within the bound, again and again; afterwards everything that was answered with 200 is on the topic."""
    await asyncio.to_thread(own_broker.start)
    accepted: list[str] = []
    async with ingest(own_broker.kafka, settings(kafka_timeout_seconds=1.0)) as running:
        await running.wait_ready()
        accepted += (await running.http.post("/e/k", json=EVENT)).json()["ids"]
        await asyncio.to_thread(own_broker.stop) if how == "stopped" else own_broker.send(signal.SIGSTOP)
        for _ in range(2):
            begun = time.monotonic()
            answers = await asyncio.gather(*(running.http.post("/e/k", json=EVENT) for _ in range(20)))
            assert time.monotonic() - begun < 4
            assert {(a.status_code, a.headers["retry-after"]) for a in answers} == {(503, "1")}
        await running.wait_status("/health", 503)
        await asyncio.to_thread(own_broker.start) if how == "stopped" else own_broker.send(signal.SIGCONT)
        await eventually(lambda: is_accepted(running, accepted))
        await running.wait_status("/health", 200)
        stored = {event.internal_id for event in await asyncio.to_thread(events_on_topic, own_broker.kafka)}
    assert set(accepted) <= stored


async def test_no_200_is_lost_when_the_broker_dies_under_load(own_broker: OwnBroker) -> None:
    """kill -9 in the middle: what was answered with 200 is there when the broker is back."""
    await asyncio.to_thread(own_broker.start)
    accepted: list[str] = []
    async with ingest(own_broker.kafka, settings(kafka_timeout_seconds=2.0)) as running:
        await running.wait_ready()

        async def send_until_refused() -> None:
            while (answer := await running.http.post("/e/k", json=[EVENT] * 5)).is_success:
                accepted.extend(answer.json()["ids"])

        senders = [asyncio.create_task(send_until_refused()) for _ in range(8)]
        await eventually(lambda: holds(len(accepted) >= 200))
        own_broker.send(signal.SIGKILL)
        await asyncio.wait_for(asyncio.gather(*senders), 30)
        await asyncio.to_thread(own_broker.stop)
        await asyncio.to_thread(own_broker.start)
        stored = {event.internal_id for event in await asyncio.to_thread(events_on_topic, own_broker.kafka)}
    assert set(accepted) <= stored


async def test_overload_is_shed(own_broker: OwnBroker) -> None:
    """With Kafka frozen, what may wait is bounded: the rest hears 429 at once."""
    await asyncio.to_thread(own_broker.start)
    server = settings(kafka_timeout_seconds=3.0, max_unacknowledged_events=100)
    async with ingest(own_broker.kafka, server) as running:
        await running.wait_ready()
        own_broker.send(signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(running.http.post("/e/k", json=[EVENT] * 10) for _ in range(50)))
        finally:
            own_broker.send(signal.SIGCONT)
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {429, 503}
    assert statuses.count(503) == 10
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}


async def test_owners_are_found_again_when_the_broker_has_died(own_broker: OwnBroker) -> None:
    """Asked all the time meanwhile, as by signals that are sent again and again."""
    own_broker.start()
    create_topics(own_broker.kafka)
    owners = GroupOwners(own_broker.kafka)
    member = Member(own_broker.kafka, "penstock-executor|127.0.0.1:4711")

    async def is_found() -> bool:
        return await owners.address(2, "another") is not None

    async def ask(over: asyncio.Event) -> None:
        while not over.is_set():
            await owners.address(2, "127.0.0.1:4711")

    try:
        await eventually(is_found)
        for _ in range(2):
            over = asyncio.Event()
            asking = asyncio.create_task(ask(over))
            own_broker.send(signal.SIGKILL)
            own_broker.stop()
            await asyncio.to_thread(own_broker.start)
            over.set()
            await asking
            await eventually(is_found)
    finally:
        await asyncio.to_thread(member.close)
