"""The audit on a real broker: clean beside a system at work, and not blind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from confluent_kafka import Producer

from penstock.audit.audit import audit
from penstock.audit.changelog import LATE_MS
from penstock.audit.findings import Findings
from penstock.cli.broker.installation import Installation
from penstock.errors import TopicMismatch
from penstock.kafka import clients
from penstock.kafka.partition_log import KafkaPartitionLog
from penstock.messages.codec import Codec
from penstock.messages.ids import RunId
from penstock.messages.keys import kind_of
from penstock.messages.records import RunEnded, RunStarted
from penstock.settings import KafkaSettings
from tests.audited import assert_rules_hold, unlooked
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

    run = write_a_second_start(running)
    again = look(running)
    assert {finding.rule for finding in again.kept} == {"one start", "nothing after the end"}
    assert {finding.about for finding in again.kept} == {run}
    running.stop()
    assert_found_by_the_fixture(running, run)


@pytest.mark.breaks_rules("one start", "nothing after the end", reason="it writes a second start itself, to be found")
def test_a_stack_with_a_broker_of_its_own_is_audited_when_both_have_ended(
    stack: StartStack, app: StepsApp, installation: Installation
) -> None:
    """Its broker is brought up once more on what it left."""
    running = stack(bootstrap_servers=None, retry_interval=1)
    work(running, app)
    run = write_a_second_start(running)
    running.stop()
    assert_found_by_the_fixture(running, run, installation)


def test_topics_of_another_shape_are_not_read_in_part(kafka_settings: KafkaSettings) -> None:
    """With other partition counts than the topics have, the audit says so instead of reading some of them."""
    for given in ({"run_partitions": 2}, {"event_partitions": 5}, {"wait_partitions": 3}):
        with pytest.raises(TopicMismatch, match="has 4 partitions"):
            audit(kafka_settings.model_copy(update=given), [], lambda _: None)


def test_events_and_commands_that_nobody_comes_to_are_found(kafka_settings: KafkaSettings) -> None:
    """No matcher and no executor has ever run here: what was sent before is told, the first of each partition."""
    topics, before = kafka_settings.topics(), int(time.time() * 1000) - 3 * LATE_MS
    producer = Producer(clients.producer(kafka_settings, "test"))
    for topic in (topics.events, topics.internal_events, topics.run_steps):
        for _ in range(2):
            producer.produce(topic, b"{}", b"k", 1, timestamp=before)
    assert producer.flush(10) == 0
    found = audit(kafka_settings, [], lambda _: None, confirm_seconds=0.0)
    assert [(finding.rule, finding.about) for finding in found.kept] == [
        ("every event is taken", f"{topics.events}/1@0"),
        ("every event is taken", f"{topics.internal_events}/1@0"),
        ("every command is taken", f"{topics.run_steps}/1@0"),
    ]


def assert_found_by_the_fixture(running: Stack, run: RunId, installation: Installation | None = None) -> None:
    """What every test with a stack ends with fails on this one, and only for what it does not excuse."""
    with pytest.raises(AssertionError, match=f"one start: {run}"):
        assert_rules_hold([running], ["nothing after the end"], installation)
    assert_rules_hold([running], ["one start", "nothing after the end"], installation)


def test_an_audit_that_saw_nothing_is_not_taken_for_a_clean_one(kafka_settings: KafkaSettings) -> None:
    """Partitions that were not read, work that left no changelog, and a changelog without a local store are told."""
    assert unlooked(audit(kafka_settings, [], lambda _: None), kafka_settings) == []
    assert unlooked(Findings(), kafka_settings) == ["changelogs of 0 partitions, not 4"]
    without_changelog = Findings(checked=Counter({"partitions": 4, "start commands": 1}))
    assert unlooked(without_changelog, kafka_settings) == ["no changelog record after 1 start commands"]
    without_stores = Findings(checked=Counter({"partitions": 4, "changelog records": 2}))
    assert unlooked(without_stores, kafka_settings) == ["no local store of 2 changelog records"]


def write_a_second_start(running: Stack) -> RunId:
    """Of a run that has ended."""
    partition, started = first_start(running.kafka)
    key = f"run/{started.run_id}".encode()
    write(running.kafka, running.kafka.topics().run_state, partition, key, Codec().encode(started))
    return started.run_id


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
