"""Questions to Kafka itself: what the topics are like, and how far each consumer group is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from ..errors import Unavailable
from ..kafka import clients
from ..kafka.probe import admin_client
from ..settings import KafkaSettings

REQUEST_SECONDS = 10.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is on the cluster."""

    name: str
    partitions: int
    replication: int
    records: int
    cleanup: str
    retention_ms: int
    message_bytes: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is in a partition; `owner` is the member that has it, empty for none."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int
    owner: str

    @property
    def behind(self) -> int:
        return max(self.end - max(self.committed, 0), 0)


class Cluster:
    """Asks the cluster of the settings; every question is bounded and raises `Unavailable`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AdminClient = admin_client(settings)

    def brokers(self) -> int:
        """How many brokers there are."""
        return _told(lambda: len(self._client.list_topics(timeout=REQUEST_SECONDS).brokers), self._settings)

    def topics(self) -> list[Topic]:
        """Our topics that exist, by name."""
        found = _told(lambda: self._client.list_topics(timeout=REQUEST_SECONDS).topics, self._settings)
        ours = {spec.name for spec in self._settings.topics().specs()} & found.keys()
        places = [(name, number) for name in sorted(ours) for number in found[name].partitions]
        bounds = self._bounds(places)
        configs = self._configs(sorted(ours))
        return [
            Topic(
                name=name,
                partitions=len(found[name].partitions),
                replication=min(len(p.replicas) for p in found[name].partitions.values()),
                records=sum(end - first for place, (first, end) in bounds.items() if place[0] == name),
                cleanup=configs[name]["cleanup.policy"],
                retention_ms=int(configs[name]["retention.ms"]),
                message_bytes=int(configs[name]["max.message.bytes"]),
            )
            for name in sorted(ours)
        ]

    def lags(self) -> list[Lag]:
        """Every partition that a group of ours has committed an offset for, or a member of it has."""
        groups = sorted(self._groups())
        members = self._members(groups)
        found: list[Lag] = []
        for group in groups:
            committed = self._committed(group)
            places = sorted(committed.keys() | members[group].keys())
            bounds = self._bounds(places)
            for place in places:
                owner = members[group].get(place, "")
                found.append(Lag(group, place[0], place[1], committed.get(place, -1), bounds[place][1], owner))
        return found

    def members(self) -> dict[str, int]:
        """How many members each group of ours has."""
        groups = sorted(self._groups())
        asked = self._client.describe_consumer_groups(groups, request_timeout=REQUEST_SECONDS) if groups else {}
        return {group: len(self._result(future).members) for group, future in asked.items()}

    def _groups(self) -> list[str]:
        found = self._result(self._client.list_consumer_groups(request_timeout=REQUEST_SECONDS))
        return [group.group_id for group in found.valid if group.group_id.startswith(self._settings.topic_prefix)]

    def _members(self, groups: Sequence[str]) -> dict[str, dict[tuple[str, int], str]]:
        asked = self._client.describe_consumer_groups(list(groups), request_timeout=REQUEST_SECONDS) if groups else {}
        return {
            group: {
                (place.topic, place.partition): member.client_id
                for member in self._result(future).members
                if member.assignment is not None
                for place in member.assignment.topic_partitions
            }
            for group, future in asked.items()
        }

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        asked = self._client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=REQUEST_SECONDS
        )
        found = self._result(asked[group]).topic_partitions
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def _bounds(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """First offset and end of each partition."""
        group = f"{self._settings.topic_prefix}range-reader"
        consumer = Consumer(clients.consumer(self._settings, "penstock-cli", group) | {"log_level": 0})
        try:
            return {place: _told(partial(_bound, consumer, place), self._settings) for place in places}
        finally:
            consumer.close()

    def _configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        asked = self._client.describe_configs(resources, request_timeout=REQUEST_SECONDS) if resources else {}
        return {
            resource.name: {name: str(entry.value) for name, entry in self._result(future).items()}
            for resource, future in asked.items()
        }

    def _result(self, future: Future[T]) -> T:
        return _told(lambda: future.result(REQUEST_SECONDS + 1), self._settings)


def _bound(consumer: Consumer, place: tuple[str, int]) -> tuple[int, int]:
    first, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=REQUEST_SECONDS)
    return int(first), int(end)


def _told(ask: Callable[[], T], settings: KafkaSettings) -> T:
    try:
        return ask()
    except (KafkaException, FutureTimeout) as error:
        raise Unavailable(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer ({error}): is it running? Another one "
            "is named by PENSTOCK_KAFKA_BOOTSTRAP_SERVERS"
        ) from error
