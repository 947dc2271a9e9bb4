"""The function registry against a real Kafka: it says when it is up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Producer

from penstock.errors import Unavailable
from penstock.functions.config import FunctionConfig
from penstock.kafka import clients
from penstock.kafka.registry import FunctionRegistry
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey
from penstock.messages.records import Cancellation, Function
from penstock.settings import KafkaSettings

CODEC = Codec()


@pytest.fixture
async def registry(kafka_settings: KafkaSettings) -> AsyncIterator[FunctionRegistry]:
    registry = FunctionRegistry(kafka_settings, CODEC)
    await registry.start()
    yield registry
    await registry.close()


def put(settings: KafkaSettings, key: bytes, value: bytes | None) -> None:
    producer = Producer(clients.producer(settings, "test"))
    producer.produce(settings.topics().functions, key=key, value=value)
    assert producer.flush(10) == 0


def function(name: str) -> tuple[FunctionKey, bytes]:
    key = FunctionKey(f"app/{name}")
    config = FunctionConfig(key, "app", name, name, "http://127.0.0.1:1/", ())
    return key, CODEC.encode(Function(key, "app", name, name, 1, config.to_json(), 1))


async def test_refresh_returns_when_what_is_on_the_topic_is_in_the_table(
    kafka_settings: KafkaSettings, registry: FunctionRegistry
) -> None:
    """At once for an empty topic, else with the last record."""
    await registry.refresh(10)
    for name in ("one", "two"):
        key, value = function(name)
        put(kafka_settings, key.encode(), value)
        await registry.refresh(10)
        assert registry.table.function(key) is not None


async def test_a_record_that_nobody_can_use_at_the_end_holds_up_nobody(
    kafka_settings: KafkaSettings, registry: FunctionRegistry
) -> None:
    """It is passed over, and the table is up to date all the same."""
    put(kafka_settings, b"odd", b"no record at all")
    await registry.refresh(10)


async def test_a_cancellation_comes_and_goes(kafka_settings: KafkaSettings, registry: FunctionRegistry) -> None:
    """Under the key that its id gives; a tombstone takes it away, and whoever listens hears of both."""
    heard: list[int] = []
    registry.on_change(lambda: heard.append(len(registry.table.cancellations())))
    cancellation = Cancellation("01C", FunctionKey("app/one"), started_before=2, created_at=1)
    put(kafka_settings, keys.cancellation_key("01C"), CODEC.encode(cancellation))
    await registry.refresh(10)
    assert registry.table.cancellations(FunctionKey("app/one")) == (cancellation,)
    put(kafka_settings, keys.cancellation_key("01C"), None)
    await registry.refresh(10)
    assert heard == [1, 0]


async def test_without_kafka_it_says_so(kafka_settings: KafkaSettings, registry: FunctionRegistry) -> None:
    """Within the time that was given: whoever asked may try again later."""
    away = kafka_settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    lost = FunctionRegistry(away, CODEC)
    with pytest.raises(Unavailable, match="cannot be asked"):
        await lost.refresh(1)
