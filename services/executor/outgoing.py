"""Where a run's messages go: each as a record for the topic and partition of whoever must act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import assert_never

from ..functions.table import FunctionTable
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.dead_letters import dead_letter_of
from ..messages.ids import RunId, run_partition, signal_partition
from ..messages.incoming import REGISTRY_HEADER, Arrival
from ..messages.keys import correlation_partition, shape_key, wait_key
from ..messages.records import (
    ClaimSignal,
    DeadLetter,
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
from .runstore import CommandRefused, Draft
from .shapes import KnownShapes


class Outbox:
    """Turns messages into records; waits whose shape is not known yet bring it along."""

    def __init__(
        self,
        topics: Topics,
        codec: Codec,
        table: FunctionTable,
        shapes: KnownShapes,
        wanted: Callable[[str], bool],
    ) -> None:
        """`wanted`: whether somebody is triggered by events of this name, or waits for one."""
        self._topics = topics
        self._codec = codec
        self._table = table
        self._wanted = wanted
        self._shapes = shapes

    @property
    def run_partitions(self) -> int:
        return self._topics.run_partitions

    def records(self, messages: Iterable[Message | SignalAnswered], now: int) -> list[Outgoing]:
        """The records to commit, in the order of the messages."""
        shapes: dict[bytes, WaitShape] = {}
        found: list[Outgoing] = []
        for message in messages:
            if isinstance(message, Wait):
                _merge(shapes, self._shapes.missing(message, now))
            found += self._of(message)
        return [*(self._shape(key, shape) for key, shape in shapes.items()), *found]

    def letters(self, draft: Draft, now: int) -> list[Outgoing]:
        """The dead letters to commit: commands that could not be read, and those on which the executor failed."""
        return [self._letter(each) for each in (*draft.letters, *(self._refused(each, now) for each in draft.refused))]

    def _letter(self, letter: DeadLetter) -> Outgoing:
        return Outgoing(self._topics.dead_letters, letter.key, self._codec.encode(letter))

    def _refused(self, refused: CommandRefused, now: int) -> DeadLetter:
        place = (self._topics.run_steps, refused.partition, refused.offset)
        arrival = Arrival(*place, now, self._codec.encode(refused.command))
        return dead_letter_of(arrival, None, refused.reason, now)

    def committed(self, outgoing: Iterable[Outgoing]) -> None:
        """These are on their topics now: their shapes need not be told again."""
        for record in outgoing:
            if record.topic == self._topics.wait_shapes and record.value is not None:
                self._shapes.take(self._codec.decode_as(WaitShape, record.value))

    def _of(self, message: Message | SignalAnswered) -> Iterator[Outgoing]:
        match message:
            case StartRun():
                yield self._command(message.run_id, replace(message, registry_offset=self._table.offset))
            case InvokedRunEnded() | SignalAnswered():
                yield self._command(message.run_id, message)
            case ClaimSignal() | ReleaseSignal():
                partition = signal_partition(message.signal, self._topics.run_partitions)
                yield self._to_owner(partition, message.signal.encode(), message)
            case Wait():
                yield self._wait(wait_key(message), self._codec.encode(message))
            case WaitOver():
                yield self._wait(message.wait_key, None)
            case Event():
                yield self._event(message, message.internal_id)
            case EndAnnounced():
                yield from (self._event(e, message.run.id) for e in announcements(message.run, self._wanted))
            case _:
                assert_never(message)

    def _command(self, run_id: RunId, command: Record) -> Outgoing:
        return self._to_owner(run_partition(run_id, self._topics.run_partitions), run_id.encode(), command)

    def _to_owner(self, partition: int, key: bytes, command: Record) -> Outgoing:
        return Outgoing(self._topics.run_steps, key, self._codec.encode(command), partition=partition)

    def _wait(self, key: str, value: bytes | None) -> Outgoing:
        partition = correlation_partition(key, self._topics.wait_partitions)
        return Outgoing(self._topics.waits, key.encode(), value, partition=partition)

    def _event(self, event: Event, key: str) -> Outgoing:
        headers = ((REGISTRY_HEADER, str(self._table.offset).encode()),)
        return Outgoing(self._topics.internal_events, key.encode(), self._codec.encode(event), headers)

    def _shape(self, key: bytes, shape: WaitShape) -> Outgoing:
        return Outgoing(self._topics.wait_shapes, key, self._codec.encode(shape), partition=0)


def _merge(shapes: dict[bytes, WaitShape], shape: WaitShape | None) -> None:
    """Of the waits of one commit, one shape that is enough for all."""
    if shape is None:
        return
    key = shape_key(shape.event, shape.path)
    other = shapes.get(key, shape)
    shapes[key] = replace(shape, since=min(shape.since, other.since), until=max(shape.until, other.until))
