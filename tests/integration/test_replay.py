"""Replays on real processes: every event that a replay is for gives exactly one run, whatever dies meanwhile."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from penstock.cli.cluster import Cluster
from penstock.errors import UndecodableRecord
from penstock.kafka import clients
from penstock.kafka.ranges import RangeReader, fixed_ranges
from penstock.messages.codec import Codec
from penstock.messages.records import RunEnded, RunStarted, StartRun
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .one_call_app import OneCallApp

#: Enough to be killed half-way; the whole 50,000 of the promise with PENSTOCK_TEST_REPLAY_EVENTS=50000.
EVENTS = int(os.environ.get("PENSTOCK_TEST_REPLAY_EVENTS", "4000"))
RATE = 2000
pytestmark = pytest.mark.timeout(900)
CODEC = Codec()


@pytest.fixture
def app() -> Iterator[OneCallApp]:
    app = OneCallApp("backfill")
    yield app
    app.stop()


def produce(kafka: KafkaSettings, count: int, name: str = "past/order", first: int = 0) -> None:
    """Events from a Kafka client, which gives no ids."""
    producer = Producer(clients.producer(kafka, "test") | {"linger.ms": 20})
    for n in range(first, first + count):
        body = b'{"name": "%s", "data": {"n": %d}}' % (name.encode(), n)
        producer.produce(kafka.topics().events, value=body, key=str(n).encode())
        if n % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def wait_matched(kafka: KafkaSettings) -> None:
    """Return when the matchers have taken all events: a function that is registered then finds them past."""

    def taken() -> bool:
        lags = [each for each in Cluster(kafka).lags() if each.topic == kafka.topics().events]
        end = sum(each.end for each in lags if each.group.endswith("matcher"))
        return end > 0 and all(each.behind == 0 for each in lags if each.group.endswith("matcher"))

    wait_until(taken, 60, "the matchers to take all events")


def ask(stack: Stack, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{stack.url}/v1/replays", json=body, timeout=30)
    assert answer.status_code == status, answer.text
    return dict(answer.json()["data"])


def act(stack: Stack, replay: str, action: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{stack.url}/v1/replays/{replay}/{action}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def look(stack: Stack, replay: str) -> dict[str, Any]:
    answer = httpx.get(f"{stack.url}/v1/replays/{replay}", timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def wait_for(stack: Stack, replay: str, status: str, seconds: float = 60) -> dict[str, Any]:
    wait_until(
        lambda: look(stack, replay)["status"] == status,
        seconds,
        lambda: f"{status}: {look(stack, replay)}\n{stack.text()[-4000:]}",
    )
    return look(stack, replay)


def records_on(kafka: KafkaSettings, topic: str) -> list[object]:
    """Everything of ours that lies on a topic."""
    begins, ends = fixed_ranges(kafka, [topic], 0)
    reader = RangeReader(kafka, begins, ends)
    found: list[object] = []
    while not reader.at_end:
        for message in reader.next_batch(1000)[0]:
            value = message.value()
            try:
                found += [CODEC.decode(value)] if value is not None else []
            except UndecodableRecord:
                continue
    reader.close()
    return found


def runs_by_event(kafka: KafkaSettings, replay: str) -> tuple[Counter[str], int]:
    """How many runs of a replay began for each event, and how many of all runs have completed."""
    state = records_on(kafka, kafka.topics().run_state)
    began = {r.run_id: r.event_ids[0] for r in state if isinstance(r, RunStarted) and r.replay == replay}
    ended = {r.run_id for r in state if isinstance(r, RunEnded) and r.status == "Completed"}
    return Counter(began.values()), len(ended & began.keys())


def test_a_killed_replay_gives_each_event_exactly_one_run(stack: StartStack, app: OneCallApp) -> None:
    """A function that is newer than the events gets one run for each, though the replayer is killed half-way."""
    running = stack(retry_interval=1)
    produce(running.kafka, EVENTS)
    wait_matched(running.kafka)
    app.register(running.url, event="past/order")
    replay = ask(running, function="backfill/backfill-one", rate=RATE)
    assert replay["total"] == EVENTS
    wait_until(
        lambda: look(running, replay["id"])["started"] > EVENTS // 4, 120, lambda: str(look(running, replay["id"]))
    )
    killed = running.kill("replayer")
    assert look(running, replay["id"])["status"] == "Running"
    running.wait_restarted("replayer", killed)
    done = wait_for(running, replay["id"], "Completed", 60 + EVENTS / 200)
    assert done["done"] == done["total"] == EVENTS
    wait_until(lambda: len(app.seen) >= EVENTS, 60 + EVENTS / 100, lambda: f"{len(app.seen)} of {EVENTS} called")
    wait_until(lambda: runs_by_event(running.kafka, replay["id"])[1] >= EVENTS, 60, "every run to be recorded as ended")
    by_event, completed = runs_by_event(running.kafka, replay["id"])
    assert completed == len(by_event) == EVENTS
    assert set(by_event.values()) == {1}
    assert set(app.seen) == set(range(EVENTS))


def test_an_identical_replay_starts_nothing_unless_forced(stack: StartStack, app: OneCallApp) -> None:
    """The same request twice is one replay; with a smaller limit before, its runs are a part of the whole."""
    running = stack(retry_interval=1)
    produce(running.kafka, 30)
    wait_matched(running.kafka)
    app.register(running.url, event="past/order")
    first = ask(running, function="backfill-one", limit=10)
    assert wait_for(running, first["id"], "Completed")["started"] == 10
    whole = ask(running, function="one")
    assert wait_for(running, whole["id"], "Completed")["started"] == 30
    assert ask(running, 200, function="backfill/backfill-one")["id"] == whole["id"]
    wait_until(lambda: len(app.seen) == 30, 30, lambda: str(app.seen))
    assert set(app.seen.values()) == {1}
    forced = ask(running, function="backfill/backfill-one", force=True)
    assert forced["id"] != whole["id"]
    wait_for(running, forced["id"], "Completed")
    wait_until(lambda: set(app.seen.values()) == {2}, 30, lambda: str(app.seen))


def test_a_dry_run_counts_and_starts_nothing(stack: StartStack, app: OneCallApp) -> None:
    """Conditions and names decide what would start; the answer says how many, by day."""
    running = stack(retry_interval=1)
    produce(running.kafka, 40)
    produce(running.kafka, 5, name="past/other")
    wait_matched(running.kafka)
    app.register(running.url, event="past/order")
    counted = ask(running, function="one", dry_run=True, **{"if": "event.data.n >= 30"})
    done = wait_for(running, counted["id"], "Completed")
    assert (done["matched"], done["started"], sum(done["by_day"].values())) == (10, 0, 10)
    other = ask(running, function="one", dry_run=True, event="past/*")
    assert wait_for(running, other["id"], "Completed")["matched"] == 45
    assert [r for r in records_on(running.kafka, running.kafka.topics().run_steps) if isinstance(r, StartRun)] == []


def test_pause_resume_and_cancel(stack: StartStack, app: OneCallApp) -> None:
    """A paused replay stands still and goes on where it was, at the rate that it is given; a cancelled one ends."""
    running = stack(retry_interval=1)
    produce(running.kafka, 300)
    wait_matched(running.kafka)
    app.register(running.url, event="past/order")
    replay = ask(running, function="one", rate=20)["id"]
    wait_until(lambda: look(running, replay)["started"] > 0, 30, "the first runs")
    assert act(running, replay, "pause")["status"] == "Paused"
    wait_until(
        lambda: look(running, replay)["records_per_second"] >= 0 and settled(running, replay), 20, "a standstill"
    )
    stood = look(running, replay)["started"]
    assert 0 < stood < 300
    assert act(running, replay, "resume", rate=5000)["rate"] == 5000
    assert wait_for(running, replay, "Completed")["started"] == 300
    assert httpx.post(f"{running.url}/v1/replays/{replay}/pause").status_code == 409
    slow = ask(running, function="one", rate=1, force=True)["id"]
    assert act(running, slow, "cancel")["status"] == "Cancelled"
    wait_until(lambda: len(app.seen) == 300, 30, lambda: str(len(app.seen)))


def settled(stack: Stack, replay: str) -> bool:
    """Nothing is started within what three portions take."""
    before = look(stack, replay)["updated_at"]
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        if look(stack, replay)["updated_at"] != before:
            return False
    return True


def test_what_cannot_be_is_refused_with_what_to_do(stack: StartStack, app: OneCallApp) -> None:
    """Unknown functions, bad conditions and bad times are named, and nothing is begun."""
    running = stack(retry_interval=1)
    app.register(running.url, event="past/order")
    for body, status, words in (
        ({"function": "backfil/backfill-on"}, 404, "did you mean backfill/backfill-one"),
        ({"function": "one", "if": "event.data."}, 400, "if:"),
        ({"function": "one", "from": "yesterday"}, 400, "from:"),
        ({"function": "one", "form": 1}, 400, "form:"),
        ({"function": "one", "from": "2026-02-01", "to": "2026-01-01"}, 400, "before to"),
    ):
        answer = httpx.post(f"{running.url}/v1/replays", json=body, timeout=30)
        assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
    assert httpx.get(f"{running.url}/v1/replays").json()["data"] == []
    assert httpx.get(f"{running.url}/v1/replays/nothing").status_code == 404
