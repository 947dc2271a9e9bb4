"""Poison on every topic that a service reads: the good record behind it is worked on, also by whoever starts later."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from penstock.kafka import clients
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, ReplayId, RunId, run_id
from penstock.messages.records import (
    CancelRun,
    DeadLetter,
    Event,
    Function,
    JobScheduled,
    Replay,
    ReplayProgress,
    RunEnded,
    StartRun,
    Wait,
    WaitShape,
)
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.integration.steps_app import StepsApp
from tests.integration.waits_app import WaitsApp
from tests.stack import Stack, wait_until

CODEC = Codec()
NOW = time.time_ns() // 1_000_000
FAR = (1 << 63) - 1
FN = FunctionKey("poison/f")
RUN = run_id(FN, "poison", NOW)
START = StartRun(RUN, FN, ('{"name":"e"}',), ("i",), NOW)
JOB = JobScheduled(RUN, JobId("j"), "call", "step", -1, FAR)
WAIT = Wait(RUN, JobId("wait/s"), "storm/go", "", "", "", "{}", -1, FAR, -1, ())
FUNCTION = Function(FN, "poison", "poison-f", "f", 1, "not a configuration", NOW)
REPLAY = Replay(ReplayId("x"), "x", FN, -1, -1, {"a": 1}, {"b": FAR}, rate=-1.0)
PROGRESS = ReplayProgress(ReplayId("y"), "Running", {"a": 1}, -1)

Sent = tuple[bytes | None, bytes | None]
#: What is poison anywhere: nothing, bytes of nothing, JSON of the wrong kind, our own header around too little.
ANYWHERE: list[Sent] = [
    (None, None),
    (b"", b""),
    (b"\xff\0", b"\xff\xfe\xfd"),
    (b"k", b"[" * 5000),
    (b"k", CODEC.encode(START)[:14]),
    (b"k", b"\0\0\0\0\x01abc"),
    (b"\0t", CODEC.encode(CancelRun(RUN))),
]
#: Well-formed records that say what cannot be.
BY_TOPIC: dict[str, list[Sent]] = {
    "events": [
        (b"k", CODEC.encode(Event("inngest/x"))),
        (b"k", b'{"name":"e","data":{"x":' + b"[" * 900 + b"]" * 900 + b"}}"),
    ],
    "internal_events": [(b"k", CODEC.encode(Event("", "not json")))],
    "functions": [(b"k", CODEC.encode(FUNCTION)), (b"k", CODEC.encode(replace(FUNCTION, config="{}")))],
    "run_steps": [
        (b"k", CODEC.encode(replace(START, run_id=RunId("x")))),
        (b"k", CODEC.encode(replace(START, memory="x"))),
        (b"k", CODEC.encode(replace(START, events=("[]",)))),
        (b"k", CODEC.encode(replace(START, start_at=FAR))),
        (b"k", CODEC.encode(RunEnded(RUN, "Completed", "1", NOW, NOW))),
    ],
    "run_state": [
        (keys.job_key(RUN, JobId("j")), CODEC.encode(JOB)),
        (keys.job_key(RUN, JobId("k")), b"x"),
        (keys.run_key(RUN), CODEC.encode(CancelRun(RUN))),
        (keys.end_key(RUN), CODEC.encode(RunEnded(RUN, "Completed", "not json", -FAR, -FAR))),
        (b"run/", CODEC.encode(START)),
        (b"\0t\xff", b"x"),
        (b"job", b"x"),
        (b"step/\xff/x", b"x"),
    ],
    "waits": [(b"k", CODEC.encode(WAIT)), (keys.wait_key(WAIT).encode(), CODEC.encode(WAIT))],
    "correlations": [(b"k", CODEC.encode(Event("storm/go")))],
    "wait_shapes": [(b"k", CODEC.encode(WaitShape("\0", "\0" * 50, FAR, -FAR, FAR)))],
    "replays": [
        (b"k", CODEC.encode(REPLAY)),
        (b"k", CODEC.encode(PROGRESS)),
        (b"k", CODEC.encode(replace(REPLAY, rate=1e308))),
    ],
    "dead_letters": [(b"k", CODEC.encode(DeadLetter("", -1, -FAR, FAR, None, None, "\0", -FAR, {"\0": b"\xff"})))],
}


def poison(kafka: KafkaSettings) -> dict[str, int]:
    """Put all of it on every partition of every topic; how many records of each topic are no news but poison."""
    producer, topics = Producer(clients.producer(kafka, "poison")), kafka.topics()
    sent: dict[str, int] = {}
    for name, special in BY_TOPIC.items():
        topic = getattr(topics, name)
        (spec,) = (each for each in topics.specs() if each.name == topic)
        # A compacted topic takes no record without a key.
        usable = [pair for pair in (*ANYWHERE, *special) if pair[0] is not None or "compact" not in spec.cleanup]
        sent[topic] = len(usable) * spec.partitions
        for partition in range(spec.partitions):
            for key, value in usable:
                producer.produce(topic, value, key, partition=partition)
    assert producer.flush(30) == 0
    return sent


@pytest.fixture
def app() -> Iterator[StepsApp]:
    one = StepsApp("good", "10ms")
    yield one
    one.stop()


@pytest.fixture
def waiting() -> Iterator[WaitsApp]:
    one = WaitsApp()
    yield one
    one.stop()


def send(stack: Stack, name: str, numbers: range) -> None:
    body = [{"name": name, "data": {"n": n}} for n in numbers]
    answer = httpx.post(f"{stack.url}/e/key", json=body, timeout=30)
    assert answer.status_code == 200, answer.text


def works(stack: Stack, app: StepsApp, waiting: WaitsApp, numbers: range) -> None:
    """Runs with steps and sleeps come to their ends, and runs that wait meet their events, twice each."""
    send(stack, "chaos/start", numbers)
    send(stack, "storm/start", numbers)
    wait_until(lambda: set(numbers) <= set(app.returned), 60, lambda: f"{app.returned}\n{stack.text()[-5000:]}")
    wait_until(lambda: set(numbers) <= waiting.waiting, 60, lambda: f"{waiting.waiting}\n{stack.text()[-5000:]}")
    for _ in range(2):
        send(stack, "storm/go", numbers)
    wait_until(lambda: set(numbers) <= set(waiting.returned), 60, lambda: f"{waiting.returned}\n{stack.text()[-5000:]}")


def listed(stack: Stack, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = httpx.get(f"{stack.url}{path}", params=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def replayed(stack: Stack) -> None:
    """A replay that is asked for behind the poison comes to its end."""
    body = {"function": "good-chain", "dry_run": True, "ignore_triggers": True, "force": True}
    answer = httpx.post(f"{stack.url}/v1/replays", json=body, timeout=30)
    assert answer.status_code in (200, 201), answer.text
    replay = answer.json()["data"]["id"]

    def status() -> str:
        return str(httpx.get(f"{stack.url}/v1/replays/{replay}", timeout=30).json()["data"]["status"])

    wait_until(lambda: status() == "Completed", 60, lambda: f"{status()}\n{stack.text()[-5000:]}")
    assert listed(stack, "/v1/replays")


def restored(log: str) -> tuple[int, int]:
    """Records that owners of runs, and matchers, have read to have their local stores again."""
    owners = re.findall(r"restored from (\d+) changelog records", log)
    matchers = re.findall(r"waits of partition \d+: (\d+) records read", log)
    return sum(map(int, owners)), sum(map(int, matchers))


@pytest.mark.timeout(400)
@pytest.mark.breaks_rules(
    "decodable",
    "no wait outlives its run",
    "nothing after the end",
    "nothing without a run",
    "state is the fold",
    reason="it writes into run-state and waits itself, beside owners that do not read what only they may write",
)
def test_poison_on_any_topic_holds_up_nothing(stack: StartStack, app: StepsApp, waiting: WaitsApp) -> None:
    """Good before, poison on every partition of every topic, good behind it; then everything again after kill -9 of
    every service that keeps state, with local stores gone, so that the poison is also restored from."""
    one = stack(retry_interval=1)
    app.register(one.url)
    waiting.register(one.url)
    works(one, app, waiting, range(8))
    sent = poison(one.kafka)
    app.register(one.url, event="chaos/other")
    app.register(one.url)
    works(one, app, waiting, range(8, 24))
    replayed(one)
    topics = one.kafka.topics()
    kept = (topics.events, topics.internal_events, topics.run_steps)
    # In its own partition, the cancellation of a run that nobody knows is a command like any other.
    expected = {topic: sent[topic] - (topic == topics.run_steps) for topic in kept}

    def letters() -> dict[str, int]:
        return {topic: len(listed(one, "/v1/dead-letters", topic=topic, limit=100)) for topic in kept}

    wait_until(lambda: letters() == expected, 60, lambda: f"{letters()}, not {expected}\n{one.text()[-5000:]}")
    for topic in (topics.waits, topics.correlations):
        assert listed(one, "/v1/dead-letters", topic=topic, limit=100)
    assert all(letter["reason"] for letter in listed(one, "/v1/dead-letters", limit=100))
    before = len(one.text())
    for service, store in (("executor", "state"), ("matcher", "waits"), ("history", None)):
        if store is not None:
            shutil.rmtree(one.data_dir / store)
        one.wait_restarted(service, one.kill(service))
    wait_until(lambda: min(restored(one.text()[before:])) > 0, 60, lambda: one.text()[-5000:])
    works(one, app, waiting, range(24, 40))
    replayed(one)
    assert letters() == expected
    assert set(app.returned.values()) == {1}
    assert all(one.restarts(service) == 1 for service in ("executor", "matcher", "history"))
