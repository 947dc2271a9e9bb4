"""How the topics flow: lag, rate, partitions and owners, as Kafka's own administration tells.

Read when somebody looks, and kept for a few seconds, however many look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import _listoffsets as specs

from ..errors import Unavailable
from ..kafka.probe import admin_client
from ..settings import KafkaSettings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
FRESH_SECONDS = 2.0
Place = tuple[str, int]
#: The client's constructors are not typed.
_Spec = Callable[[], specs.OffsetSpec]
_LATEST, _EARLIEST = cast(_Spec, specs.LatestSpec)(), cast(_Spec, specs.EarliestSpec)()
EXECUTOR_CLIENT = "penstock-executor|"


@dataclass(frozen=True, slots=True)
class Member:
    """A process that reads for a group."""

    client: str
    host: str
    partitions: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One partition as a group reads it; `committed` and `lag` are None before the group's first commit."""

    topic: str
    partition: int
    end: int
    committed: int | None
    owner: str

    @property
    def lag(self) -> int | None:
        return None if self.committed is None else max(self.end - self.committed, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group and what it reads."""

    name: str
    state: str
    members: tuple[Member, ...]
    readings: tuple[Reading, ...]

    @property
    def lag(self) -> int:
        return sum(reading.lag or 0 for reading in self.readings)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; `rate` in records a second since the last look, None before there were two."""

    name: str
    partitions: int
    records: int
    ends: Mapping[int, int]
    rate: float | None


@dataclass(frozen=True, slots=True)
class Streams:
    """The state of all topics and groups at a moment."""

    brokers: int
    topics: tuple[Topic, ...]
    groups: tuple[Group, ...]
    seen_at: float


class StreamsReader:
    """Asks the cluster; one asks at a time, the others take its answer. Blocks: call it off the event loop."""

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._client: AdminClient | None = None
        self._lock = threading.Lock()
        self._last: Streams | None = None

    def read(self) -> Streams:
        """The streams as of a moment ago. Raises `Unavailable` when the cluster does not answer."""
        with self._lock:
            if self._last is None or self._clock() - self._last.seen_at > FRESH_SECONDS:
                self._last = self._ask()
            return self._last

    def _ask(self) -> Streams:
        client = self._client = self._client or admin_client(self._settings)
        try:
            metadata = client.list_topics(timeout=TIMEOUT_SECONDS)
            names = [name for name in metadata.topics if name.startswith(self._settings.topic_prefix)]
            places = [(name, partition) for name in sorted(names) for partition in metadata.topics[name].partitions]
            ends = self._offsets(client, places, _LATEST)
            starts = self._offsets(client, places, _EARLIEST)
            groups = self._groups(client, ends)
        except (KafkaException, TimeoutError) as error:
            self._client = None  # it may have lived through the end of a broker, and abort the process if asked again
            raise Unavailable(f"Kafka does not answer: {error}; try again in a moment") from error
        seen_at = self._clock()
        return Streams(len(metadata.brokers), self._topics(places, starts, ends, seen_at), groups, seen_at)

    def _offsets(self, client: AdminClient, places: Sequence[Place], spec: specs.OffsetSpec) -> dict[Place, int]:
        asked = client.list_offsets({TopicPartition(*place): spec for place in places}, request_timeout=TIMEOUT_SECONDS)
        return {(at.topic, at.partition): found.result(TIMEOUT_SECONDS).offset for at, found in asked.items()}

    def _topics(
        self, places: Sequence[Place], starts: Mapping[Place, int], ends: Mapping[Place, int], seen_at: float
    ) -> tuple[Topic, ...]:
        before = {topic.name: topic for topic in self._last.topics} if self._last else {}
        seconds = seen_at - self._last.seen_at if self._last else 0.0
        made = []
        for name in dict.fromkeys(name for name, _ in places):
            own = {partition: ends[topic, partition] for topic, partition in places if topic == name}
            kept = sum(end - starts[name, partition] for partition, end in own.items())
            made.append(Topic(name, len(own), kept, own, rate(before.get(name), own, seconds)))
        return tuple(made)

    def _groups(self, client: AdminClient, ends: Mapping[Place, int]) -> tuple[Group, ...]:
        listed = client.list_consumer_groups(request_timeout=TIMEOUT_SECONDS).result(TIMEOUT_SECONDS).valid
        names = sorted(g.group_id for g in listed if g.group_id.startswith(self._settings.topic_prefix))
        if not names:
            return ()
        described = client.describe_consumer_groups(names, request_timeout=TIMEOUT_SECONDS)
        committed = {name: self._committed(client, name) for name in names}
        return tuple(group(name, described[name].result(TIMEOUT_SECONDS), committed[name], ends) for name in names)

    def _committed(self, client: AdminClient, name: str) -> dict[Place, int]:
        asked: Mapping[str, Future[Any]] = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])
        found = asked[name].result(TIMEOUT_SECONDS).topic_partitions or []
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}


def rate(before: Topic | None, ends: Mapping[int, int], seconds: float) -> float | None:
    """Records a second between two looks."""
    if before is None or seconds <= 0:
        return None
    return max(sum(ends.values()) - sum(before.ends.values()), 0) / seconds


def group(name: str, described: Any, committed: Mapping[Place, int], ends: Mapping[Place, int]) -> Group:
    """A group, from what the coordinator tells."""
    members = tuple(sorted((_member(m) for m in described.members), key=lambda m: m.client))
    owners = {place: member for member in members for place in member.partitions}
    places = sorted({*owners, *committed} & ends.keys())
    readings = tuple(
        Reading(topic, number, ends[topic, number], committed.get((topic, number)), _owner(owners, (topic, number)))
        for topic, number in places
    )
    return Group(name, str(getattr(described.state, "name", described.state)).title(), members, readings)


def _member(described: Any) -> Member:
    assigned = described.assignment.topic_partitions if described.assignment else []
    return Member(described.client_id, described.host, tuple((at.topic, at.partition) for at in assigned))


def _owner(owners: Mapping[Place, Member], place: Place) -> str:
    member = owners.get(place)
    return "" if member is None else member.client.removeprefix(EXECUTOR_CLIENT)
