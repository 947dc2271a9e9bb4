"""A range of one partition, read by itself: to build a table from its topic, or to look at events once more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..errors import Unavailable
from ..settings import KafkaSettings
from . import clients
from .asking import bounds_of
from .topic_ids import topic_ids

_ANSWER_SECONDS = 10.0
_SILENCE_SECONDS = 30.0
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record; `timestamp` in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class PartitionLog(Protocol):
    """Committed records of one partition. Every method blocks, and raises `Unavailable` when Kafka does not answer."""

    def topic_id(self) -> str:
        """Tells a topic from another of the same name; empty where the cluster does not tell."""

    def bounds(self) -> tuple[int, int]:
        """The first offset that can still be read, and the end of what is committed."""

    def offset_at(self, time_ms: int) -> int:
        """Offset of the first record that was written then or later; the end when there is none."""

    def read(self, start: int, end: int) -> Iterator[Sequence[LogRecord]]:
        """The records from `start` on, before `end`, in batches."""

    def close(self) -> None:
        """Let go of connections."""


class KafkaPartitionLog:
    """`PartitionLog` by librdkafka, on one connection."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int) -> None:
        self._place = TopicPartition(topic, partition)
        self._settings = settings
        config = clients.consumer(settings, "penstock-log", f"{settings.topic_prefix}log-reader")
        self._consumer = Consumer(
            config
            | {
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                # A fetch comes compressed, and is in memory several times its size; larger records come all the same.
                "fetch.message.max.bytes": 1024 * 1024,
                "queued.min.messages": 10_000,
                "queued.max.messages.kbytes": 8192,
            }
        )

    def topic_id(self) -> str:
        return topic_ids(self._settings, [self._place.topic])[self._place.topic]

    def turn_to(self, topic: str, partition: int) -> None:
        """Read another partition from now on, on the same connection."""
        self._place = TopicPartition(topic, partition)

    def bounds(self) -> tuple[int, int]:
        try:
            return bounds_of(self._consumer, self._place)
        except KafkaException as error:
            raise self._unavailable(error) from error

    def offset_at(self, time_ms: int) -> int:
        asked = TopicPartition(self._place.topic, self._place.partition, max(time_ms, 0))
        try:
            (found,) = self._consumer.offsets_for_times([asked], timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            raise self._unavailable(error) from error
        return int(found.offset) if found.offset >= 0 else self.bounds()[1]

    def read(self, start: int, end: int) -> Iterator[Sequence[LogRecord]]:
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._place.topic, self._place.partition, start)])
        give_up = time.monotonic() + _SILENCE_SECONDS
        try:
            at_end = False
            while not at_end:
                batch, at_end = self._next_batch(end)
                if batch:
                    give_up = time.monotonic() + _SILENCE_SECONDS
                    yield batch
                elif time.monotonic() > give_up:
                    raise Unavailable(f"{self._name()} does not come to its end {end}")
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        self._consumer.close()

    def _next_batch(self, end: int) -> tuple[list[LogRecord], bool]:
        """What has arrived, and whether `end` is reached; markers of transactions have no record to show it."""
        first = self._consumer.poll(1.0)
        batch: list[LogRecord] = []
        at_end = False
        for message in [first, *self._consumer.consume(_BATCH, 0)] if first is not None else []:
            offset, error = message.offset() or 0, message.error()
            if (message.topic(), message.partition()) != (self._place.topic, self._place.partition):
                continue
            if error is None:
                if offset < end:
                    batch.append(_record(message, offset))
                at_end = at_end or offset >= end - 1
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end = at_end or offset >= end
            else:
                raise self._unavailable(KafkaException(error))
        return batch, at_end

    def _unavailable(self, error: KafkaException) -> Unavailable:
        return Unavailable(f"reading {self._name()}: {error}")

    def _name(self) -> str:
        return f"{self._place.topic}/{self._place.partition}"


def _record(message: Message, offset: int) -> LogRecord:
    return LogRecord(offset, message.timestamp()[1], message.key(), message.value(), _headers(message))


def _headers(message: Message) -> Sequence[tuple[str, bytes | None]]:
    headers = message.headers()
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


class GroupOffsets:
    """Offsets that a consumer group has stored. Every method blocks, and raises `Unavailable`."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._consumer = Consumer(clients.consumer(settings, "penstock-offsets", group))

    def read(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """What is stored, by topic and partition."""
        try:
            found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            raise Unavailable(f"the group's coordinator does not answer: {error}") from error
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def close(self) -> None:
        self._consumer.close()
