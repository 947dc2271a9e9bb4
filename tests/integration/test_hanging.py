"""Transactions that hang on the broker hold nobody back for longer than it takes to notice them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from penstock.executor.changelog import KafkaChangelog
from penstock.kafka.held_back import held_back
from penstock.kafka.partition_log import KafkaPartitionLog
from penstock.kafka.produce import Outgoing
from penstock.settings import KafkaSettings
from tests.stack import wait_until

from .hanging import leave_hanging, verification


@pytest.fixture(autouse=True)
def unverified(kafka_settings: KafkaSettings) -> Iterator[None]:
    """Brokers refuse such a write when they check it; one that stood still has checked it long ago."""
    verification(kafka_settings, False)
    try:
        yield
    finally:
        verification(kafka_settings, True)


def hang(settings: KafkaSettings, topic: str, partition: int) -> None:
    """As left by an owner of partition 1."""
    asyncio.run(leave_hanging(settings, f"{settings.topic_prefix}executor-1", topic, partition, b"zombie"))
    assert list(held_back(settings, [(topic, partition)])) == [(topic, partition)], "it must hang, or nothing is shown"


def are_keys(settings: KafkaSettings, topic: str, partition: int, wanted: list[bytes]) -> None:
    """A commit is true for readers when its marker is there, a moment after the producer was told."""
    wait_until(lambda: keys(settings, topic, partition) == wanted, 10, lambda: str(keys(settings, topic, partition)))


def keys(settings: KafkaSettings, topic: str, partition: int) -> list[bytes | None]:
    """Of everything that is committed."""
    log = KafkaPartitionLog(settings, topic, partition)
    try:
        return [record.key for batch in log.read(*log.bounds()) for record in batch]
    finally:
        log.close()


def test_a_changelog_is_freed_by_its_next_owner(kafka_settings: KafkaSettings) -> None:
    """The partition is restored to its end, and what hung there is not taken for committed, then or later."""
    topic = kafka_settings.topics().run_state
    earlier = KafkaChangelog(kafka_settings, 1)
    earlier.fence()
    earlier.commit({b"a": b"1"}, ())
    earlier.close()
    hang(kafka_settings, topic, 1)
    heir = KafkaChangelog(kafka_settings, 1)
    heir.fence()
    _, end = heir.bounds()
    assert [pair for batch, _ in heir.read(-1, end) for pair in batch] == [(b"a", b"1")]
    heir.commit({b"b": b"2"}, ())
    heir.close()
    are_keys(kafka_settings, topic, 1, [b"a", b"b"])
    wait_until(lambda: not held_back(kafka_settings, [(topic, 1)]), 10, "the changelog is free")


def test_what_an_owner_sends_to_is_freed_too(kafka_settings: KafkaSettings) -> None:
    """Commands of other partitions, waits: their readers go on, and do not see what was never committed."""
    topics = kafka_settings.topics()
    hang(kafka_settings, topics.run_steps, 3)
    hang(kafka_settings, topics.waits, 0)
    heir = KafkaChangelog(kafka_settings, 1)
    heir.fence()
    heir.commit({b"a": b"1"}, [Outgoing(topics.run_steps, b"command", b"x", partition=3)])
    heir.close()
    are_keys(kafka_settings, topics.run_steps, 3, [b"command"])
    are_keys(kafka_settings, topics.waits, 0, [])
    wait_until(lambda: not held_back(kafka_settings, topics.written_by_owners()), 10, "all topics are free")
