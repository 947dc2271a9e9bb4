"""The topics as batches, each from where the database stands.

On SQLite, one machine's database, a process reads every partition by itself: it is there at once after a restart. A
database that several processes share has a consumer group named after it, and the processes divide the partitions.
Either way offsets live in the database alone, and its writer's fence decides between processes that overlap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..errors import Unavailable
from ..kafka import clients
from ..settings import KafkaSettings
from .write import Place

log = logging.getLogger(__name__)

#: Records that wait locally, in KiB: enough to keep the database busy, little enough to stay small.
_QUEUED_KIB = 4 * 1024
#: Under low load, records are gathered this long, so that a commit serves several.
_GATHER_SECONDS = 0.1
_METADATA_SECONDS = 5.0
_FETCH_WAIT_MS = 100


class HistoryFeed:
    """Reads all topics of the read model. Blocking; used by one thread. A failed one is closed and made anew."""

    def __init__(self, settings: KafkaSettings, stopping: threading.Event) -> None:
        self._topics = settings.topics()
        self._stopping = stopping
        self._group = f"{settings.topic_prefix}history"
        self._settings = settings
        self._consumer: Consumer | None = None
        self._failure: Unavailable | None = None
        self.assigned: set[Place] = set()
        """Partitions that this process reads now."""

    @property
    def names(self) -> tuple[str, ...]:
        topics = self._topics
        return (topics.run_state, topics.events, topics.internal_events, topics.functions, topics.dead_letters)

    def cluster(self) -> str:
        """The cluster's id: offsets mean nothing on another. `Unavailable` while Kafka or the topics are away."""
        return self._metadata()[0]

    def read_all(self, positions: Callable[[], dict[Place, int]]) -> None:
        """Read every partition of every topic."""
        _cluster, places = self._metadata()
        self._consumer = self._consumer or Consumer(self._config(f"{self._group}-alone"))
        self._consumer.assign(_placed(places, positions()))
        self.assigned = set(places)

    def share(self, database_id: str, positions: Callable[[], dict[Place, int]]) -> None:
        """Read this process's share of the partitions, as the group divides them."""
        self.close()
        self._consumer = Consumer(self._config(f"{self._group}-{database_id}"))

        def assigned(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            places = [(each.topic, each.partition) for each in partitions]
            try:
                consumer.incremental_assign(_placed(places, positions()))
            except Unavailable as error:
                self._failure = error
            self.assigned.update(places)

        def revoked(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            consumer.incremental_unassign(partitions)
            self.assigned.difference_update((each.topic, each.partition) for each in partitions)

        self._consumer.subscribe(list(self.names), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def next_batch(self, max_records: int) -> list[Message]:
        """Records as they came, in order within each partition; empty when none came for half a second."""
        consumer = self._consumer
        if consumer is None:
            raise RuntimeError("read_all() or share() comes before next_batch()")
        first = consumer.poll(0.5)
        self._raise_failure()
        if first is None:
            return []
        batch = [first, *consumer.consume(max_records - 1, 0)]
        if len(batch) < max_records and not self._stopping.wait(_GATHER_SECONDS):
            batch += consumer.consume(max_records - len(batch), 0)
        self._raise_failure()
        return [message for message in batch if _is_record(message)]

    def close(self) -> None:
        """Leave the group, if any, and let go of connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        self.assigned.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _metadata(self) -> tuple[str, list[Place]]:
        if self._consumer is None:
            self._consumer = Consumer(self._config(f"{self._group}-alone"))
        try:
            found = self._consumer.list_topics(timeout=_METADATA_SECONDS)
        except KafkaException as error:
            raise Unavailable(f"Kafka does not answer: {error}") from error
        absent = [name for name in self.names if not (name in found.topics and found.topics[name].partitions)]
        if absent:
            raise Unavailable(f"waiting for the topics {', '.join(absent)}: `penstock topics create` makes them")
        return str(found.cluster_id), [(name, p) for name in self.names for p in sorted(found.topics[name].partitions)]

    def _config(self, group: str) -> clients.Config:
        return clients.consumer(self._settings, f"{self._group}-reader", group) | {
            "queued.max.messages.kbytes": _QUEUED_KIB,
            # A larger record is fetched nevertheless, alone.
            "fetch.message.max.bytes": 512 * 1024,
            "fetch.max.bytes": _QUEUED_KIB * 1024,
            # People do not notice a tenth of a second; under load it spares broker and database most round trips.
            "fetch.min.bytes": 256 * 1024,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "enable.partition.eof": False,
        }


def _placed(places: Sequence[Place], positions: dict[Place, int]) -> list[TopicPartition]:
    """Partitions with the offset to begin at: what was never read begins with what is retained."""
    return [TopicPartition(topic, partition, positions.get((topic, partition), -2)) for topic, partition in places]


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.fatal() or error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION):
        raise Unavailable(f"Kafka: {error.str()}")
    log.debug("kafka: %s", error)
    return False
