"""Cron on a real Kafka: executors die around the scheduled time, and it fires once all the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from penstock.executor.cron import rfc3339
from penstock.kafka import clients
from penstock.messages.codec import Codec
from penstock.messages.ids import ulid_millis
from penstock.messages.records import StartRun
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import wait_until

from .changelog_audit import audit
from .steps_app import StepsApp

MINUTE = 60_000
#: Early enough that no executor is there when the minute comes.
BEFORE_SECONDS = 1.0


@pytest.fixture
def app() -> Iterator[StepsApp]:
    app = StepsApp("cron")
    yield app
    app.stop()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def starts(settings: KafkaSettings) -> list[StartRun]:
    """Every start on `run-steps`."""
    consumer = Consumer(
        clients.consumer(settings, "starts", "starts") | {"enable.partition.eof": True, "fetch.wait.max.ms": 20}
    )
    topic = settings.topics().run_steps
    consumer.assign([TopicPartition(topic, p, 0) for p in range(settings.run_partitions)])
    at_end: set[int] = set()
    found = []
    while len(at_end) < settings.run_partitions:
        message = consumer.poll(10.0)
        assert message is not None, "run-steps cannot be read to its end"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            at_end.add(message.partition() or 0)
            continue
        record = Codec().decode(message.value() or b"")
        if isinstance(record, StartRun):
            found.append(record)
    consumer.close()
    return found


def shown_status(server: str, start: StartRun) -> str:
    answer = httpx.get(f"{server}/v1/runs/{start.run_id}", timeout=30)
    return str(answer.json()["data"]["status"]) if answer.status_code == 200 else ""


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_a_firing_survives_the_death_of_all_executors(stack: StartStack, app: StepsApp) -> None:
    """All executors are killed with -9 just before the minute; who comes next fires it, once."""
    running = stack(retry_interval=1)
    second = running.start_service("executor")
    registered_at = now_ms()
    app.register(running.url, cron="* * * * *")
    scheduled_at = ((now_ms() + 5000) // MINUTE + 1) * MINUTE
    wait_until(lambda: now_ms() >= scheduled_at - BEFORE_SECONDS * 1000, 70, "the end of a minute")
    second.send(signal.SIGKILL)
    killed = running.kill("executor")
    running.wait_restarted("executor", killed)
    wait_until(
        lambda: app.returned[rfc3339(scheduled_at)],
        40,
        lambda: f"a run for {rfc3339(scheduled_at)}, there are {dict(app.returned)}\n{running.text()[-4000:]}",
    )
    first = (registered_at // MINUTE + 1) * MINUTE
    expected = [rfc3339(at) for at in range(first, scheduled_at + 1, MINUTE)]
    fired = [start for start in starts(running.kafka) if start.received_at < scheduled_at + MINUTE]
    assert sorted(rfc3339(ulid_millis(start.run_id)) for start in fired) == expected
    assert len({start.run_id for start in fired}) == len(fired)
    assert {start.cron for start in fired} == {"* * * * *"}
    assert all(app.returned[each] == 1 for each in expected)
    assert audit(running.kafka).problems == []
    wait_until(lambda: shown_status(running.url, fired[-1]) == "Completed", 30, "the run in history")
