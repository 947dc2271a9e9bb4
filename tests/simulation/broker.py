"""Kafka as lists: committed records by topic and partition, transactions that are all or nothing, fencing by epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.errors import Fenced
from penstock.kafka.produce import Outgoing
from penstock.messages.codec import Codec
from penstock.messages.records import Record
from penstock.messages.topics import Topics

#: Decoded records are kept until there are so many.
MOST_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Stored:
    """A committed record."""

    key: bytes | None
    value: bytes | None
    at: int


class KeepingCodec(Codec):
    """Decodes equal bytes once: everybody here reads the same records, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[bytes, Record] = {}

    def decode(self, value: bytes) -> Record:
        found = self._kept.get(value)
        if found is None:
            if len(self._kept) > MOST_KEPT:
                self._kept = {}
            found = self._kept[value] = super().decode(value)
        return found


class Broker:
    """What survives every death."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.now = 0
        self.logs: dict[tuple[str, int], list[Stored]] = defaultdict(list)
        self._epochs: dict[int, int] = defaultdict(int)

    def log(self, topic: str, partition: int) -> list[Stored]:
        return self.logs[topic, partition]

    def fence(self, partition: int) -> int:
        """Every earlier writer of the partition's changelog fails from now on."""
        self._epochs[partition] += 1
        return self._epochs[partition]

    def commit(
        self, partition: int, epoch: int, records: Mapping[bytes, bytes | None], outgoing: Sequence[Outgoing]
    ) -> int:
        """One transaction of a partition's owner; offset of its last changelog record."""
        if self._epochs[partition] != epoch:
            raise Fenced("another owner has taken over")
        log = self.log(self.topics.run_state, partition)
        log += [Stored(key, value, self.now) for key, value in records.items()]
        self.send(outgoing)
        return len(log) - 1

    def send(self, outgoing: Sequence[Outgoing]) -> None:
        for each in outgoing:
            self.log(each.topic, each.partition or 0).append(Stored(each.key, each.value, self.now))
