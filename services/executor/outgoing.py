"""Where a run's messages go: each as a record for the topic and partition of whoever must act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import assert_never

from ..functions.table import FunctionTable
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.ids import RunId, run_partition, signal_partition
from ..messages.keys import correlation_partition, shape_key, wait_key
from ..messages.records import (
    ClaimSignal,
    Event,
    InvokedRunEnded,
    Record,
    ReleaseSignal,
    SignalAnswered,
    StartRun,
    Wait,
    WaitShape,
)
from ..messages.topics import Topics
from ..runs.announcements import announcements
from ..runs.effects import EndAnnounced, Message, WaitOver

#: Header on events: how far in the functions topic their sender had seen.
REGISTRY_HEADER = "penstock-registry"
#: A shape is asked for this much earlier than its first wait needs, so that the next one does not ask again.
SHAPE_MARGIN_MS = 60_000
MIN_SHAPE_MS = 3_600_000


class Outbox:
    """Turns messages into records. Remembers which shapes of waits are known, from the commits that told of them."""

    def __init__(self, topics: Topics, codec: Codec, table: FunctionTable, wanted: Callable[[str], bool]) -> None:
        """`wanted`: whether somebody is triggered by events of this name, or waits for one."""
        self._topics = topics
        self._codec = codec
        self._table = table
        self._wanted = wanted
        self._shapes: dict[bytes, WaitShape] = {}

    def records(self, messages: Iterable[Message | SignalAnswered], now: int) -> list[Outgoing]:
        """The records to commit, in the order of the messages."""
        new_shapes: dict[bytes, WaitShape] = {}
        found = [record for message in messages for record in self._of(message, now, new_shapes)]
        return [*(self._shape(key, shape) for key, shape in new_shapes.items()), *found]

    def committed(self, outgoing: Iterable[Outgoing]) -> None:
        """These are on their topics now: their shapes need not be told again."""
        for record in outgoing:
            if record.topic == self._topics.wait_shapes and record.key is not None and record.value is not None:
                self._shapes[record.key] = self._codec.decode_as(WaitShape, record.value)

    def _of(self, message: Message | SignalAnswered, now: int, shapes: dict[bytes, WaitShape]) -> Iterator[Outgoing]:
        match message:
            case StartRun():
                yield self._command(message.run_id, replace(message, registry_offset=self._table.offset))
            case InvokedRunEnded() | SignalAnswered():
                yield self._command(message.run_id, message)
            case ClaimSignal() | ReleaseSignal():
                partition = signal_partition(message.signal, self._topics.run_partitions)
                yield self._to_owner(partition, message.signal.encode(), message)
            case Wait():
                self._need_shape(message, now, shapes)
                yield self._wait(wait_key(message), self._codec.encode(message))
            case WaitOver():
                yield self._wait(message.wait_key, None)
            case Event():
                yield self._event(message)
            case EndAnnounced():
                yield from map(self._event, announcements(message.run, self._wanted))
            case _:
                assert_never(message)

    def _command(self, run_id: RunId, command: Record) -> Outgoing:
        return self._to_owner(run_partition(run_id, self._topics.run_partitions), run_id.encode(), command)

    def _to_owner(self, partition: int, key: bytes, command: Record) -> Outgoing:
        return Outgoing(self._topics.run_steps, key, self._codec.encode(command), partition=partition)

    def _wait(self, key: str, value: bytes | None) -> Outgoing:
        partition = correlation_partition(key, self._topics.wait_partitions)
        return Outgoing(self._topics.waits, key.encode(), value, partition=partition)

    def _event(self, event: Event) -> Outgoing:
        headers = ((REGISTRY_HEADER, str(self._table.offset).encode()),)
        return Outgoing(self._topics.internal_events, event.internal_id.encode(), self._codec.encode(event), headers)

    def _need_shape(self, wait: Wait, now: int, shapes: dict[bytes, WaitShape]) -> None:
        key = shape_key(wait.event, wait.path)
        known = shapes.get(key) or self._shapes.get(key)
        if known is not None and known.since <= wait.since and wait.until <= known.until:
            return
        since, until = wait.since - SHAPE_MARGIN_MS, wait.until + max(wait.until - now, MIN_SHAPE_MS)
        if known is not None and known.until >= now:
            since, until = min(since, known.since), max(until, known.until)
        shapes[key] = WaitShape(wait.event, wait.path, since, until, now)

    def _shape(self, key: bytes, shape: WaitShape) -> Outgoing:
        return Outgoing(self._topics.wait_shapes, key, self._codec.encode(shape), partition=0)
