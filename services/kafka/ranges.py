"""A part of some topics, fixed once and then read without any consumer group's help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..errors import Unavailable
from ..settings import KafkaSettings
from . import clients

REQUEST_SECONDS = 10.0
POLL_SECONDS = 0.5
#: Waiting locally, in KiB: whoever reads like this is paced by something else, so little is enough.
QUEUED_KIB = 8 * 1024

Place = str
"""A topic without our prefix and a partition, as in `events/3`."""


def fixed_ranges(
    settings: KafkaSettings, topics: Sequence[str], from_ms: int
) -> tuple[dict[Place, int], dict[Place, int]]:
    """First offsets (of records written at or after `from_ms`, when given) and ends, as of now.

    Blocks; raises `Unavailable` when the cluster does not answer.
    """
    consumer = Consumer(_config(settings))
    begins: dict[Place, int] = {}
    ends: dict[Place, int] = {}
    try:
        for partition in _partitions(consumer, topics):
            # To a reader of committed records the end is where the first open transaction begins.
            low, end = consumer.get_watermark_offsets(partition, timeout=REQUEST_SECONDS)
            place = place_of(settings, partition)
            begins[place], ends[place] = _begin(consumer, partition, from_ms, low, end), end
    except KafkaException as error:
        raise Unavailable(f"Kafka does not say what its topics hold: {error}; try again") from error
    finally:
        consumer.close()
    return begins, ends


def place_of(settings: KafkaSettings, partition: TopicPartition | Message) -> Place:
    if isinstance(partition, Message):
        topic, number = partition.topic() or "", partition.partition() or 0
    else:
        topic, number = partition.topic, partition.partition
    return f"{topic.removeprefix(settings.topic_prefix)}/{number}"


class RangeReader:
    """Reads every partition from its position to its end. Blocking, and used by one thread at a time.

    Offsets without a record (the markers of transactions, what retention has removed) count as read.
    """

    def __init__(self, settings: KafkaSettings, positions: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        self._settings = settings
        self._ends = ends
        self._unread = {place for place, end in ends.items() if positions[place] < end}
        self._consumer = Consumer(_config(settings))
        self._consumer.assign([_partition(settings, place, positions[place]) for place in self._unread])

    @property
    def at_end(self) -> bool:
        return not self._unread

    def next_batch(self, most: int) -> tuple[list[Message], set[Place]]:
        """Records in order within each partition, and the partitions that are read to their end behind them."""
        first = self._consumer.poll(POLL_SECONDS)
        batch: list[Message] = []
        ended: set[Place] = set()
        for message in [first, *self._consumer.consume(most - 1, 0)] if first is not None else []:
            place = place_of(self._settings, message)
            if place in self._unread and self._take(message, self._ends[place], batch):
                self._consumer.pause([_partition(self._settings, place, 0)])
                self._unread.discard(place)
                ended.add(place)
        return batch, ended

    def close(self) -> None:
        self._consumer.close()

    def _take(self, message: Message, end: int, batch: list[Message]) -> bool:
        """Put the record into the batch when it is one of ours; True when it is the last of its partition."""
        error, offset = message.error(), message.offset() or 0
        if error is None:
            if offset < end:
                batch.append(message)
            return offset + 1 >= end
        if error.code() == KafkaError._PARTITION_EOF:
            return offset >= end
        raise Unavailable(f"Kafka: {error.str()}")


def _partitions(consumer: Consumer, topics: Sequence[str]) -> list[TopicPartition]:
    found = consumer.list_topics(timeout=REQUEST_SECONDS).topics
    absent = [topic for topic in topics if topic not in found or not found[topic].partitions]
    if absent:
        raise Unavailable(f"the topic {', '.join(absent)} is not there: run `penstock topics create`")
    return [TopicPartition(topic, number) for topic in topics for number in sorted(found[topic].partitions)]


def _begin(consumer: Consumer, partition: TopicPartition, from_ms: int, low: int, end: int) -> int:
    if not from_ms:
        return low
    asked = TopicPartition(partition.topic, partition.partition, from_ms)
    found = consumer.offsets_for_times([asked], timeout=REQUEST_SECONDS)[0]
    if found.error is not None:
        raise KafkaException(found.error)
    # None was written since then: Kafka answers with "the end".
    return min(max(found.offset, low), end) if found.offset >= 0 else end


def _partition(settings: KafkaSettings, place: Place, offset: int) -> TopicPartition:
    topic, _, number = place.rpartition("/")
    return TopicPartition(settings.topic_prefix + topic, int(number), offset)


def _config(settings: KafkaSettings) -> clients.Config:
    """A reader of its own. It never subscribes nor commits, so the group's name is one that nobody joins."""
    return clients.consumer(settings, "penstock-ranges", f"{settings.topic_prefix}range-reader") | {
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": QUEUED_KIB,
        "fetch.message.max.bytes": 1024 * 1024,
        "fetch.wait.max.ms": 100,
    }
