"""What the matcher sends: starts and resumes for runs, events for waits, dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.dead_letters import dead_letter_of
from ..messages.ids import run_partition
from ..messages.incoming import REGISTRY_HEADER, Arrival
from ..messages.keys import correlation_of, correlation_partition
from ..messages.records import CorrelatedEvent, ResumeRun, StartRun
from ..messages.topics import Topics


def to_runs(commands: Iterable[StartRun | ResumeRun], topics: Topics, codec: Codec) -> list[Outgoing]:
    """Each command to the partition that owns its run."""
    return [
        Outgoing(
            topic=topics.run_steps,
            key=command.run_id.encode(),
            value=codec.encode(command),
            partition=run_partition(command.run_id, topics.run_partitions),
        )
        for command in commands
    ]


def to_waits(events: Iterable[CorrelatedEvent], topics: Topics, codec: Codec) -> list[Outgoing]:
    """Each correlated event to the partition of the waits that it may meet."""
    return [_to_waits(event, correlation_of(event), topics, codec) for event in events]


def _to_waits(event: CorrelatedEvent, correlation: str, topics: Topics, codec: Codec) -> Outgoing:
    partition = correlation_partition(correlation, topics.wait_partitions)
    return Outgoing(topics.correlations, correlation.encode(), codec.encode(event), partition=partition)


def dead_letter(
    arrival: Arrival, key: bytes | None, reason: str, seen_at: int, topics: Topics, codec: Codec
) -> Outgoing:
    """The record as it came, with the reason."""
    letter = dead_letter_of(arrival, key, reason, seen_at)
    return Outgoing(topic=topics.dead_letters, key=letter.key, value=codec.encode(letter))


def registry_offset(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """How far the sender had seen the functions topic; -1 when it does not say."""
    for name, value in headers:
        if name == REGISTRY_HEADER and value is not None and value.isdigit() and len(value) < 19:
            return int(value)
    return -1
