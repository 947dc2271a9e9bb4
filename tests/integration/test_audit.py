"""The audit on a real broker: clean beside a system at work, and not blind."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka import Producer

from penstock.audit.audit import audit
from penstock.audit.findings import Findings
from penstock.kafka import clients
from penstock.kafka.partition_log import KafkaPartitionLog
from penstock.messages.codec import Codec
from penstock.messages.ids import RunId
from penstock.messages.keys import kind_of
from penstock.messages.records import RunEnded, RunStarted
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .steps_app import StepsApp

RUNS = 20


@pytest.fixture
def app() -> Iterator[StepsApp]:
    app = StepsApp()
    yield app
    app.stop()


def write(kafka: KafkaSettings, topic: str, partition: int, key: bytes, value: bytes) -> None:
    producer = Producer(clients.producer(kafka, "test"))
    producer.produce(topic, value, key, partition)
    assert producer.flush(10) == 0


def work(running: Stack, app: StepsApp) -> None:
    """Some runs from begin to end, and one record that is no event."""
    kafka = running.kafka
    app.register(running.url)
    write(kafka, kafka.topics().events, 0, b"k", b"junk")
    events = [{"name": "chaos/start", "data": {"n": n}} for n in range(RUNS)]
    assert httpx.post(f"{running.url}/e/key", json=events).status_code == 200
    wait_until(lambda: look(running).checked["ended runs"] == RUNS, 60, lambda: str(look(running).checked))


def look(running: Stack) -> Findings:
    return audit(running.kafka, [running.data_dir], lambda _: None)


@pytest.mark.breaks_rules("one start", "nothing after the end", reason="it writes a second start itself, to be found")
def test_work_that_is_done_is_clean_and_what_breaks_a_rule_is_found(stack: StartStack, app: StepsApp) -> None:
    """Events, starts, runs, steps and local stores agree; a second start does not."""
    running = stack(retry_interval=1)
    work(running, app)
    found = look(running)
    assert list(found.lines()) == []
    assert found.checked["starts"] == found.checked["start commands"] == RUNS
    assert found.checked["undecodable events"] == 1
    assert found.checked["stored records"] > RUNS

    partition, started = first_start(running.kafka)
    key = f"run/{started.run_id}".encode()
    write(running.kafka, running.kafka.topics().run_state, partition, key, Codec().encode(started))
    again = look(running)
    assert {finding.rule for finding in again.kept} == {"one start", "nothing after the end"}
    assert {finding.about for finding in again.kept} == {started.run_id}


def first_start(kafka: KafkaSettings) -> tuple[int, RunStarted]:
    """A run that has ended, and its partition."""
    for partition in range(kafka.run_partitions):
        log = KafkaPartitionLog(kafka, kafka.topics().run_state, partition)
        records = [record for batch in log.read(0, log.bounds()[1]) for record in batch]
        log.close()
        decoded = [Codec().decode(r.value) for r in records if r.value and kind_of(r.key or b"") in (b"run", b"end")]
        ended: set[RunId] = {record.run_id for record in decoded if isinstance(record, RunEnded)}
        for record in decoded:
            if isinstance(record, RunStarted) and record.run_id in ended:
                return partition, record
    raise AssertionError("no run has ended")
