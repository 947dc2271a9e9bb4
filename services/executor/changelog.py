"""A partition's changelog: written in transactions that fence every earlier owner, read to rebuild the state."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from ..errors import Fenced, Unavailable
from ..kafka import clients
from ..kafka.asking import bounds_of
from ..kafka.held_back import held_back
from ..kafka.produce import Headers, Outgoing
from ..kafka.topic_ids import topic_ids
from ..messages import keys
from ..settings import KafkaSettings

log = logging.getLogger(__name__)

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_COMMIT_TIMEOUT_SECONDS = 20.0
#: Key of records that are never committed.
_CLEANSING = b"cleansing"
_SILENCE_SECONDS = 30.0
Pairs = list[tuple[bytes, bytes | None]]


class TopicIds(NamedTuple):
    """Which topics a partition's state is made from."""

    changelog: str
    commands: str


class Changelog(Protocol):
    """The truth about a partition's runs. Every method blocks: call it off the event loop."""

    def fence(self) -> None:
        """Make every earlier owner's writes fail from now on, and abort what they left open or hanging."""

    def topic_ids(self) -> TopicIds:
        """Tell topics from others of the same names; empty where the cluster does not tell."""

    def bounds(self) -> tuple[int, int]:
        """The lowest offset that can still be read, and the end as of now."""

    def command_bounds(self) -> tuple[int, int]:
        """The same of the partition's commands."""

    def holds(self, offset: int, end: int) -> bool:
        """Whether a committed record lies at the offset, before `end`. Not when it was aborted, or compacted away."""

    def read(self, after: int, end: int) -> Iterator[tuple[Pairs, int]]:
        """Committed records behind offset `after` up to `end`, in batches with their last offset.

        While nothing comes, batches are empty, so that the reader may give up.
        """

    def commit(self, records: Mapping[bytes, bytes | None], outgoing: Sequence[Outgoing]) -> int:
        """Write all of it in one transaction; the changelog offset of the last record.

        Raises `Fenced` when another owner has taken over, `Unavailable` when the outcome is not known. After either
        the partition must be opened anew.
        """

    def close(self) -> None:
        """Let go of connections; an open transaction is left for the next owner to abort."""


class KafkaChangelog:
    """The changelog of one partition of `run-state`."""

    def __init__(self, settings: KafkaSettings, partition: int) -> None:
        self._settings = settings
        self._topic = settings.topics().run_state
        self._partition = partition
        self._name = f"{settings.topic_prefix}executor-{partition}"
        self._producer: Producer | None = None
        self._last_offset = -1
        self._owning = (keys.OWNER_HEADER, b"")

    def fence(self) -> None:
        config = clients.transactional_producer(self._settings, self._name, self._name)
        self._producer = Producer(config)
        self._owning = (keys.OWNER_HEADER, secrets.token_bytes(6))
        with _translated(f"taking over partition {self._partition}"):
            self._producer.init_transactions(30.0)
            self._cleanse(self._producer)

    def topic_ids(self) -> TopicIds:
        commands = self._settings.topics().run_steps
        found = topic_ids(self._settings, [self._topic, commands])
        return TopicIds(found[self._topic], found[commands])

    def bounds(self) -> tuple[int, int]:
        return self._bounds_of(self._topic)

    def command_bounds(self) -> tuple[int, int]:
        return self._bounds_of(self._settings.topics().run_steps)

    def _bounds_of(self, topic: str) -> tuple[int, int]:
        # Asked as a reader of committed records, Kafka would name the begin of an open transaction as the end, and
        # what lies behind it would be missed. Asked like this, `read` waits until it is settled.
        consumer = Consumer(self._reader_config() | {"isolation.level": "read_uncommitted"})
        try:
            with _translated(f"asking where {topic}/{self._partition} begins and ends"):
                return bounds_of(consumer, TopicPartition(topic, self._partition))
        finally:
            consumer.close()

    def holds(self, offset: int, end: int) -> bool:
        for batch, _ in self._read(offset - 1, end):
            if batch:
                return batch[0].offset() == offset
        return False

    def read(self, after: int, end: int) -> Iterator[tuple[Pairs, int]]:
        for batch, last in self._read(after, end):
            yield [(m.key() or b"", m.value()) for m in batch], last

    def _read(self, after: int, end: int) -> Iterator[tuple[list[Message], int]]:
        if after + 1 >= end:
            return
        consumer = Consumer(self._reader_config())
        try:
            with _translated(f"reading the changelog of partition {self._partition}"):
                consumer.assign([TopicPartition(self._topic, self._partition, max(after + 1, 0))])
                at_end = False
                give_up = time.monotonic() + _SILENCE_SECONDS
                while not at_end:
                    batch, at_end = _next_batch(consumer, end)
                    if batch:
                        after = batch[-1].offset() or 0
                        give_up = time.monotonic() + _SILENCE_SECONDS
                    elif time.monotonic() > give_up:
                        raise Unavailable(
                            f"the changelog of partition {self._partition} does not come to its end {end}"
                        )
                    yield batch, after
        finally:
            consumer.close()

    def commit(self, records: Mapping[bytes, bytes | None], outgoing: Sequence[Outgoing]) -> int:
        producer = self._producer
        if producer is None:
            raise RuntimeError("fence() comes before commit()")
        with _translated(f"committing to partition {self._partition}"):
            producer.begin_transaction()
            self._produce(producer, records)
            for each in outgoing:
                partition = -1 if each.partition is None else each.partition
                _enqueue(producer, each.topic, each.key, each.value, partition, each.headers or ())
            producer.flush(_COMMIT_TIMEOUT_SECONDS)
            producer.commit_transaction(_COMMIT_TIMEOUT_SECONDS)
        return self._last_offset

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()

    def _cleanse(self, producer: Producer) -> None:
        """End hanging transactions of earlier owners by one that is aborted.

        `init_transactions` ends only what the coordinator knows. A write that a broker took in while it stood still may
        be in none of its books: then the partition waits for ever, or worse, our next commit would commit it too. An
        abort by the same producer ends it as aborted; and from the first record of the new epoch on, the partition
        itself refuses those of earlier ones.
        """
        others = held_back(self._settings, self._settings.topics().written_by_owners())
        producer.begin_transaction()
        for topic, partition in [(self._topic, self._partition), *others]:
            producer.produce(topic, key=_CLEANSING, value=b"", partition=partition)
        if producer.flush(_COMMIT_TIMEOUT_SECONDS):
            raise Unavailable(f"taking over partition {self._partition}: Kafka takes no records")
        producer.abort_transaction(_COMMIT_TIMEOUT_SECONDS)

    def _produce(self, producer: Producer, records: Mapping[bytes, bytes | None]) -> None:
        # Deliveries within a partition keep their order, so the last record's offset is the highest. That one says by
        # which owning all of them were written, so that the audit sees who wrote behind its successor.
        last = len(records) - 1
        for place, (key, value) in enumerate(records.items()):
            if place == last:
                _enqueue(producer, self._topic, key, value, self._partition, (self._owning,), self._delivered)
            else:
                _enqueue(producer, self._topic, key, value, self._partition)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._last_offset = message.offset() or 0

    def _reader_config(self) -> clients.Config:
        config = clients.consumer(self._settings, f"{self._name}-restore", f"{self._settings.topic_prefix}restore")
        return config | {
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "queued.min.messages": 100_000,
            "queued.max.messages.kbytes": 65_536,
        }


def _enqueue(
    producer: Producer,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int,
    headers: Headers = (),
    on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """Send, when there is room: what has been delivered takes up room until its report is served."""
    give_up = 0.0
    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery, headers=list(headers))
            return
        except BufferError:
            give_up = give_up or time.monotonic() + _COMMIT_TIMEOUT_SECONDS
            if time.monotonic() > give_up:
                raise
            producer.poll(0.1)


def _next_batch(consumer: Consumer, end: int) -> tuple[list[Message], bool]:
    """What has arrived, and whether `end` is reached: commit markers at the end have no record to show it.

    A broker that has just come up may report an end of the partition that lies before what it holds; only one at or
    behind `end`, which the leader vouched for, counts.
    """
    first = consumer.poll(1.0)
    batch: list[Message] = []
    at_end = False
    for message in [first, *consumer.consume(5000, 0)] if first is not None else []:
        error = message.error()
        if error is None:
            batch.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            at_end = at_end or (message.offset() or 0) >= end
        else:
            raise KafkaException(error)
    return batch, at_end


class _translated:  # noqa: N801 - reads as a word at its one use: `with _translated("doing what")`
    """Turns librdkafka's errors into ours."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # A fatal error is raised in the middle of serving callbacks; one that is called then turns it into a
        # SystemError caused by it.
        if isinstance(error, SystemError) and isinstance(error.__cause__, KafkaException):
            error = error.__cause__
        if isinstance(error, KafkaException):
            cause = error.args[0]
            if isinstance(cause, KafkaError) and cause.code() in _FENCED:
                raise Fenced(f"{self._doing}: another owner has taken over") from error
            raise Unavailable(f"{self._doing}: {error}") from error
        if isinstance(error, BufferError):
            raise Unavailable(f"{self._doing}: the send queue is full") from error
