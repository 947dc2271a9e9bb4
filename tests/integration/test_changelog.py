"""The changelog on a real broker: atomic commits, fencing, and reading to the end over commit markers."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from penstock.errors import Fenced
from penstock.executor.changelog import KafkaChangelog
from penstock.kafka import clients
from penstock.kafka.partition_log import KafkaPartitionLog
from penstock.kafka.produce import Outgoing
from penstock.kafka.topics import create_topics
from penstock.settings import KafkaSettings
from tests.stack import wait_until


def read_all(settings: KafkaSettings, after: int = -1) -> list[tuple[bytes, bytes | None]]:
    reader = KafkaChangelog(settings, 1)
    return [pair for batch, _ in reader.read(after, reader.bounds()[1]) for pair in batch]


def test_what_is_committed_is_read(kafka_settings: KafkaSettings) -> None:
    """Records come back in order, tombstones too, and reading ends behind the last commit marker."""
    changelog = KafkaChangelog(kafka_settings, 1)
    changelog.fence()
    assert read_all(kafka_settings) == []
    first = changelog.commit({b"a": b"1", b"b": b"2"}, ())
    second = changelog.commit({b"a": None}, ())
    assert second > first
    assert read_all(kafka_settings) == [(b"a", b"1"), (b"b", b"2"), (b"a", None)]
    assert read_all(kafka_settings, first) == [(b"a", None)]
    assert read_all(kafka_settings, second) == []
    changelog.close()


def test_a_successor_fences(kafka_settings: KafkaSettings) -> None:
    """Once another owner has fenced, the earlier one can never write again, whatever it had begun."""
    zombie = KafkaChangelog(kafka_settings, 1)
    zombie.fence()
    zombie.commit({b"k": b"zombie"}, ())
    heir = KafkaChangelog(kafka_settings, 1)
    heir.fence()
    with pytest.raises(Fenced):
        zombie.commit({b"k": b"late"}, ())
    heir.commit({b"k": b"heir"}, ())
    assert read_all(kafka_settings) == [(b"k", b"zombie"), (b"k", b"heir")]
    zombie.close()
    heir.close()


def test_commands_are_part_of_the_commit(kafka_settings: KafkaSettings) -> None:
    """What is sent to other topics belongs to the same transaction and keeps to its partition."""
    changelog = KafkaChangelog(kafka_settings, 1)
    changelog.fence()
    topic = kafka_settings.topics().run_steps
    changelog.commit({b"k": b"v"}, [Outgoing(topic, b"run", b"command", partition=3)])
    changelog.close()
    consumer = Consumer(clients.consumer(kafka_settings, "test", "test"))
    consumer.assign([TopicPartition(topic, 3, 0)])
    message = consumer.poll(10.0)
    assert message is not None
    assert message.value() == b"command"
    consumer.close()


def test_a_commit_of_more_than_the_send_queue_holds(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is delivered makes room as it goes: a purge of many large runs must not be too much for ever."""
    config = clients.transactional_producer

    def small(settings: KafkaSettings, client_id: str, transactional_id: str) -> clients.Config:
        return config(settings, client_id, transactional_id) | {"queue.buffering.max.messages": 500}

    monkeypatch.setattr(clients, "transactional_producer", small)
    changelog = KafkaChangelog(kafka_settings, 1)
    changelog.fence()
    topic = kafka_settings.topics().run_steps
    records = {f"k{n}".encode(): b"v" for n in range(2000)}
    last = changelog.commit(records, [Outgoing(topic, b"run", b"command", partition=1)] * 1000)
    assert read_all(kafka_settings) == list(records.items())
    assert changelog.bounds()[1] > last
    assert changelog.command_bounds()[1] == 1000 + 1, "and the transaction's marker"
    changelog.close()


def test_an_open_transaction_does_not_pass_for_the_end(kafka_settings: KafkaSettings) -> None:
    """What is held back by one is waited for: it may yet turn out to be committed."""
    changelog = KafkaChangelog(kafka_settings, 1)
    changelog.fence()
    topic = kafka_settings.topics().run_state
    stranger = Producer(clients.transactional_producer(kafka_settings, "stranger", "stranger"))
    stranger.init_transactions(30.0)
    stranger.begin_transaction()
    stranger.produce(topic, key=b"held", value=b"back", partition=1)
    stranger.flush(10.0)
    changelog.commit({b"k": b"v"}, ())
    reading = changelog.read(-1, changelog.bounds()[1])
    assert next(reading) == ([], -1)
    stranger.commit_transaction(30.0)
    assert [pair for batch, _ in reading for pair in batch] == [(b"held", b"back"), (b"k", b"v")]
    changelog.close()


def test_only_what_is_committed_is_held(kafka_settings: KafkaSettings) -> None:
    """Not what was aborted, though it lies there; so a state that was folded from it is found out."""
    changelog = KafkaChangelog(kafka_settings, 1)
    changelog.fence()
    first = changelog.commit({b"a": b"1", b"b": b"2"}, ())
    heir = KafkaChangelog(kafka_settings, 1)
    heir.fence()
    last = heir.commit({b"a": b"3"}, ())
    end = heir.bounds()[1]
    held = [offset for offset in range(end) if heir.holds(offset, end)]
    assert held == [first - 1, first, last], "not the markers, nor the heir's first record, which is aborted"
    assert last == first + 4
    assert not heir.holds(last + 10, end)
    changelog.close()
    heir.close()


def test_a_topic_made_anew_is_another_one(kafka_settings: KafkaSettings) -> None:
    """Under the same name; a state that was folded from the first is not the second's."""
    name = kafka_settings.topics().run_state
    first = KafkaChangelog(kafka_settings, 1).topic_ids().changelog
    assert first
    assert KafkaChangelog(kafka_settings, 2).topic_ids().changelog == first
    admin = AdminClient({"bootstrap.servers": kafka_settings.kafka_bootstrap_servers})
    admin.delete_topics([name])[name].result(10)
    wait_until(lambda: name in create_topics(kafka_settings), 20, "the topic to be made anew")
    log = KafkaPartitionLog(kafka_settings, name, 0)
    assert log.topic_id() not in ("", first)
    log.close()
