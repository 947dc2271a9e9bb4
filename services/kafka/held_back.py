"""Partitions whose committed end lies before their end: a transaction is open there, or one was left hanging.

A hanging transaction is one that its coordinator has ended, or never knew in this partition, while the partition still
waits for its end: a broker that stood still while it was being aborted can leave one. It holds back every reader of
committed records, for ever, and Kafka ends it only when the same producer ends another transaction there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeAlias

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from ..errors import Unavailable
from ..settings import KafkaSettings
from .asking import ANSWER_SECONDS, until_answered
from .probe import admin_client

#: Topic and partition.
Place: TypeAlias = tuple[str, int]


def held_back(settings: KafkaSettings, places: Sequence[Place]) -> Mapping[Place, int]:
    """Where the committed end is, for those of the places where it lies before the end.

    Blocks; raises `Unavailable` when the cluster does not answer.
    """

    def ask() -> Mapping[Place, int]:
        client = admin_client(settings)  # one that has lived through the end of a broker may abort the process
        committed = _ends(client, places, IsolationLevel.READ_COMMITTED)
        ends = _ends(client, places, IsolationLevel.READ_UNCOMMITTED)
        return {place: offset for place, offset in committed.items() if offset < ends[place]}

    try:
        return until_answered(ask)
    except (KafkaException, FutureTimeout) as error:
        raise Unavailable(f"Kafka does not tell where partitions end: {error!r}") from error


def _ends(client: AdminClient, places: Sequence[Place], level: IsolationLevel) -> Mapping[Place, int]:
    asked = {TopicPartition(*place): OffsetSpec.latest() for place in places}
    answers = client.list_offsets(asked, isolation_level=level, request_timeout=ANSWER_SECONDS)
    return {
        (place.topic, place.partition): int(future.result(ANSWER_SECONDS + 1).offset)
        for place, future in answers.items()
    }
