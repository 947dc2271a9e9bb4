"""The topic `replays`, followed past broken records and through an absence of the schema registry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from confluent_kafka import TopicPartition

from penstock.errors import Unavailable
from penstock.kafka import follow
from penstock.messages.codec import Codec
from penstock.messages.records import Event, Record
from penstock.replay.log import ReplayLog
from penstock.settings import KafkaSettings

from .doubles import CODEC, Steps, replay

KAFKA = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", topic_prefix="t.")
TOPIC = [b"no record at all", CODEC.encode(Event("a", internal_id="01J")), CODEC.encode(replay())]


@dataclass
class Stored:
    """A message as librdkafka gives it."""

    at: int

    def error(self) -> None:
        return None

    def key(self) -> bytes:
        return b""

    def value(self) -> bytes:
        return TOPIC[self.at]

    def offset(self) -> int:
        return self.at


class TopicReader:
    """A consumer of one partition that holds `TOPIC`."""

    def __init__(self, _config: object) -> None:
        self._next = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._next = max(partitions[0].offset, 0)

    def get_watermark_offsets(self, _partition: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, len(TOPIC)

    def poll(self, _seconds: float) -> Stored | None:
        if self._next == len(TOPIC):
            return None
        self._next += 1
        return Stored(self._next - 1)

    def consume(self, _most: int, _seconds: float) -> list[Stored]:
        return []

    def position(self, _partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition("t.replays", 0, self._next)]

    def close(self) -> None:
        return


class AwayOnce(Codec):
    """A codec whose schema registry does not answer the first time that a replay is read."""

    away = True

    def decode(self, data: bytes) -> Record:
        if data == TOPIC[2] and self.away:
            self.away = False
            raise Unavailable("the schema registry is away")
        return super().decode(data)


async def test_an_unavailable_schema_registry_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is read again; those before it that are no replays are passed over."""
    monkeypatch.setattr(follow, "Consumer", TopicReader)
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.0)
    log = ReplayLog(KAFKA, AwayOnce(), Steps())
    async with asyncio.timeout(10):
        await log.start()
        await log.refresh()
    assert [state.asked for state in log.table.all()] == [replay()]
    assert (log.table.offset, log.changed.is_set()) == (2, True)
    await log.close()
