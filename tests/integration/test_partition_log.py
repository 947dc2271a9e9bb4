"""Ranges of one partition, and offsets of a group, on a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.kafka import clients
from penstock.kafka.partition_log import GroupOffsets, KafkaPartitionLog
from penstock.settings import KafkaSettings
from tests.stack import wait_until

AT = 1_788_000_000_000
LONG_AFTER = 4_102_444_800_000


@pytest.fixture
def log(kafka_settings: KafkaSettings) -> Iterator[KafkaPartitionLog]:
    one = KafkaPartitionLog(kafka_settings, kafka_settings.topics().waits, 1)
    yield one
    one.close()


def write(kafka: KafkaSettings, first: int, count: int, commit: bool = True) -> None:
    """One transaction; record n is from AT + n."""
    producer = Producer(clients.transactional_producer(kafka, "test", f"{kafka.topic_prefix}test"))
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(first, first + count):
        producer.produce(
            kafka.topics().waits, b"v", f"{number}", partition=1, timestamp=AT + number, headers={"h": b"x"}
        )
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def settled(log: KafkaPartitionLog, end: int) -> None:
    """A transaction is committed before its marker lies in the partition, and only then seen."""
    wait_until(lambda: log.bounds()[1] == end, 30, f"the partition's end is {end}")


def keys(log: KafkaPartitionLog, start: int, end: int) -> list[int]:
    return [int(record.key or b"-1") for batch in log.read(start, end) for record in batch]


def test_a_range_is_read_to_its_end_whatever_lies_there(kafka_settings: KafkaSettings, log: KafkaPartitionLog) -> None:
    """Aborted records are passed over, and markers of transactions at the end are no reason to wait."""
    assert log.bounds() == (0, 0)
    assert keys(log, 0, 0) == []
    write(kafka_settings, 0, 10)
    write(kafka_settings, 10, 5, commit=False)
    write(kafka_settings, 15, 5)
    settled(log, 23)
    first, end = log.bounds()
    assert first == 0
    assert keys(log, first, end) == [*range(10), *range(15, 20)]
    assert keys(log, 3, 6) == [3, 4, 5]
    assert keys(log, 9, 17) == [9]


def test_records_come_with_all_that_they_have(kafka_settings: KafkaSettings, log: KafkaPartitionLog) -> None:
    """Offset, time, key, value and headers."""
    write(kafka_settings, 0, 1)
    settled(log, 2)
    ((record,),) = log.read(0, 1)
    assert (record.offset, record.timestamp, record.key, record.value) == (0, AT, b"0", b"v")
    assert list(record.headers) == [("h", b"x")]


def test_a_time_gives_the_first_record_from_then_on(kafka_settings: KafkaSettings, log: KafkaPartitionLog) -> None:
    """Before all of them the first, after all of them the end."""
    write(kafka_settings, 0, 10)
    settled(log, 11)
    assert log.offset_at(AT + 4) == 4
    assert log.offset_at(-5) == 0
    assert log.offset_at(LONG_AFTER) == 11


def test_offsets_of_a_group(kafka_settings: KafkaSettings) -> None:
    """What was never stored is not there."""
    events, group = kafka_settings.topics().events, f"{kafka_settings.topic_prefix}group"
    member = Consumer(clients.consumer(kafka_settings, "test", group))
    stored = [TopicPartition(events, 0, 7), TopicPartition(events, 1, 3)]
    member.commit(offsets=stored, asynchronous=False)
    member.close()
    offsets = GroupOffsets(kafka_settings, group)
    places = [(events, 0), (events, 1), (events, 2)]
    assert offsets.read(places) == {(events, 0): 7, (events, 1): 3}
    offsets.close()
