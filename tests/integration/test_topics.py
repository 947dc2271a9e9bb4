"""Topics on a real cluster."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from penstock.errors import TopicMismatch, Unavailable
from penstock.kafka.topics import check_topics, create_topics, ensure_topics
from penstock.settings import KafkaSettings

from ..stack import wait_until


def test_missing_topics_are_made_once_and_then_correct(broker: str, topic_prefix: str) -> None:
    """Creating makes every topic, creating again makes none, and the check finds nothing wrong."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker, topic_prefix=topic_prefix)
    names = {spec.name for spec in settings.topics().specs()}
    assert len(check_topics(settings)) == len(names)
    assert set(create_topics(settings)) == names
    assert create_topics(settings) == []
    assert check_topics(settings) == []


def test_other_partition_counts_are_named_with_what_to_do(kafka_settings: KafkaSettings) -> None:
    """Settings that ask for another partition count than the topics have are a problem per topic."""
    other = kafka_settings.model_copy(update={"run_partitions": 8})
    problems = check_topics(other)
    assert len(problems) == 2
    assert all("has 4 partitions, the settings say 8" in p and "PENSTOCK_RUN_PARTITIONS" in p for p in problems)


def test_a_grown_topic_is_a_mismatch_for_services(kafka_settings: KafkaSettings) -> None:
    """A service refuses to start when somebody has added partitions, because run ids would change owner."""
    name = kafka_settings.topics().run_state
    admin = AdminClient({"bootstrap.servers": kafka_settings.kafka_bootstrap_servers})
    admin.create_partitions([NewPartitions(name, 6)])[name].result(10)
    wait_until(lambda: check_topics(kafka_settings), 10, "the new partitions to be visible")
    with pytest.raises(TopicMismatch, match="has 6 partitions"):
        asyncio.run(ensure_topics(kafka_settings, print))


def test_a_changelog_that_is_not_compacted_is_a_mismatch(broker: str, topic_prefix: str) -> None:
    """A changelog with cleanup.policy=delete would lose state: the check says so."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker, topic_prefix=topic_prefix)
    name = settings.topics().run_state
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, 4, 1, config={"cleanup.policy": "delete"})])[name].result(10)
    create_topics(settings)
    assert [p for p in check_topics(settings) if "cleanup.policy=delete, but needs compact" in p]


def test_no_cluster_is_unavailable_within_bounds() -> None:
    """Asking a cluster that is not there ends with a clear error, not with a hang."""
    nowhere = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")
    with pytest.raises(Unavailable):
        check_topics(nowhere)


async def test_waiting_for_kafka_says_so_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cluster a service waits and says so, with the reason; cancelling it ends the wait promptly."""
    from penstock.kafka import probe

    monkeypatch.setattr(probe, "SAY_SO_EVERY_SECONDS", 0.1)
    said: asyncio.Queue[str] = asyncio.Queue()
    nowhere = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")
    waiting = asyncio.create_task(ensure_topics(nowhere, said.put_nowait))
    async with asyncio.timeout(20):
        while "Connection refused" not in (text := await said.get()):
            assert text.startswith("waiting for Kafka at 127.0.0.1:1: ")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 3)
