"""What the matcher sends: starts and resumes for runs, events for waits, dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.ids import run_partition
from ..messages.incoming import REGISTRY_HEADER, Arrival
from ..messages.keys import correlation_of, correlation_partition
from ..messages.records import CorrelatedEvent, DeadLetter, ResumeRun, StartRun
from ..messages.topics import Topics

#: A dead letter must itself fit on its topic, with room for its other fields.
MAX_KEPT_BYTES = 9 * 1024 * 1024
MAX_KEPT_HEADER_BYTES = 64 * 1024


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
    """The record as it came, with the reason; what is too large to be kept whole is cut and says so."""
    value, cut_value = _cut(arrival.value, MAX_KEPT_BYTES)
    kept_key, cut_key = _cut(key, MAX_KEPT_HEADER_BYTES)
    headers, cut_headers = _headers(arrival.headers)
    if cut_value or cut_key or cut_headers:
        reason += " (too large to be kept whole here: the record itself stays where it lay)"
    letter = DeadLetter(
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        timestamp=arrival.timestamp,
        key=kept_key,
        value=value,
        reason=reason,
        seen_at=seen_at,
        headers=headers,
    )
    return Outgoing(topic=topics.dead_letters, key=kept_key, value=codec.encode(letter))


def _cut(content: bytes | None, most: int) -> tuple[bytes | None, bool]:
    if content is None or len(content) <= most:
        return content, False
    return content[:most], True


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> tuple[dict[str, bytes], bool]:
    kept: dict[str, bytes] = {}
    room = MAX_KEPT_HEADER_BYTES
    for name, value in headers:
        room -= len(name) + len(value or b"")
        if room < 0:
            return kept, True
        kept[name] = value or b""
    return kept, False


def registry_offset(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """How far the sender had seen the functions topic; -1 when it does not say."""
    for name, value in headers:
        if name == REGISTRY_HEADER and value is not None and value.isdigit() and len(value) < 19:
            return int(value)
    return -1
