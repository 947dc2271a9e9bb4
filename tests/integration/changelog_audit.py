"""Reads `run-state` from the broker alone and checks what must always hold, whoever was killed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, TopicPartition

from penstock.kafka import clients
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import RunId
from penstock.messages.records import RunEnded, RunStarted, StepFinished
from penstock.settings import KafkaSettings

NOT_OF_A_RUN = frozenset((b"offset", b"dedupe", b"signal", b"cron", b"cancellation"))


@dataclass
class Audit:
    """What the changelog says, in its own order within each partition."""

    started: dict[RunId, list[str]] = field(default_factory=dict)
    ended: dict[RunId, RunEnded] = field(default_factory=dict)
    events: dict[RunId, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def completed(self) -> int:
        return sum(end.status == "Completed" for end in self.ended.values())


def audit(settings: KafkaSettings) -> Audit:
    """Read every committed record; what breaks a rule is in `problems`."""
    codec, found = Codec(), Audit()
    steps: dict[bytes, list[str]] = {}
    for place, key, value in _records(settings):
        if value is None or keys.kind_of(key) in NOT_OF_A_RUN:
            continue
        run = keys.run_of(key)
        if run in found.ended:
            found.problems.append(f"{place}: {key!r} was written after the end of its run")
        record = codec.decode(value)
        if isinstance(record, RunStarted):
            found.started.setdefault(run, []).append(place)
            found.events[run] = record.events[0]
        elif isinstance(record, StepFinished):
            steps.setdefault(key, []).append(place)
        elif isinstance(record, RunEnded):
            found.ended[run] = record
    found.problems += [f"{run} was started at {places}" for run, places in found.started.items() if len(places) > 1]
    found.problems += [f"{key!r} was written at {places}" for key, places in steps.items() if len(places) > 1]
    return found


def _records(settings: KafkaSettings) -> list[tuple[str, bytes, bytes | None]]:
    """Place (partition@offset), key and value of every committed record, in the order of each partition."""
    topic = settings.topics().run_state
    consumer = Consumer(
        clients.consumer(settings, "audit", "audit") | {"enable.partition.eof": True, "fetch.wait.max.ms": 20}
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(settings.run_partitions)])
    at_end: set[int] = set()
    records: list[tuple[str, bytes, bytes | None]] = []
    while len(at_end) < settings.run_partitions:
        message = consumer.poll(10.0)
        assert message is not None, "the changelog cannot be read to its end: a transaction is left open"
        error = message.error()
        if error is None:
            records.append((f"{message.partition()}@{message.offset()}", message.key() or b"", message.value()))
        else:
            assert error.code() == KafkaError._PARTITION_EOF, error
            at_end.add(message.partition() or 0)
    consumer.close()
    return records
