"""What ingest writes to Kafka, and when it must not: the only door from HTTP to the topics.

Until Kafka and the function table are there, and whenever too much is on its way unacknowledged, nothing is taken
in: whoever sends learns at once that it should try again, instead of waiting behind others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from ..errors import Overloaded, Unavailable
from ..functions.registration import app_key
from ..functions.table import Forgotten, FunctionTable, TableRecord
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.ids import run_partition
from ..messages.incoming import REGISTRY_HEADER
from ..messages.keys import cancellation_key
from ..messages.records import App, Cancellation, Event, Function, StartRun
from ..messages.topics import Topics


class Producer(Protocol):
    """Sends records; the future is done when all in-sync replicas have all of them."""

    @property
    def in_flight(self) -> int:
        """Records sent and not yet acknowledged."""

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Gives the last offset, or raises `Unavailable`."""


class Registry(Protocol):
    """The function table and how far it has come."""

    @property
    def table(self) -> FunctionTable:
        """All functions and apps, as far as read."""

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """True as soon as the table holds the topic up to the offset."""

    async def refresh(self, timeout_seconds: float) -> None:
        """Return when the table holds all that is on the topic now; `Unavailable` when that takes too long."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be on its way, and how long a sender waits."""

    max_unacknowledged_events: int
    kafka_timeout_seconds: float


class Publisher:
    """Writes events and registrations. Returning means: on all in-sync replicas.

    What is on its way when the process dies may or may not be on the topic; the sender got no answer and sends again.
    """

    def __init__(self, topics: Topics, codec: Codec, bounds: Bounds) -> None:
        self.waiting_for: str | None = "Kafka"
        """What is missing before anything can be taken in; None when nothing is."""
        self._topics = topics
        self._codec = codec
        self.bounds = bounds
        self._open: tuple[Producer, Registry] | None = None

    def open(self, producer: Producer, registry: Registry) -> None:
        """From now on take in what comes."""
        self._open = (producer, registry)
        self.waiting_for = None

    @property
    def topics(self) -> Topics:
        return self._topics

    @property
    def table(self) -> FunctionTable:
        """The functions known so far; empty while waiting."""
        return self._open[1].table if self._open else FunctionTable()

    async def events(self, events: Sequence[Event]) -> None:
        """Write all of them. Raises `Overloaded` before any is sent, `Unavailable` when not all were acknowledged."""
        producer, registry = self._with_room()
        seen = [(REGISTRY_HEADER, b"%d" % registry.table.offset)]
        topic, encode = self._topics.events, self._codec.encode
        records = [Outgoing(topic, (e.id or e.internal_id).encode(), encode(e), seen) for e in events]
        await self._acknowledged(producer.send_all(records))

    async def invocation(self, event: Event, start: StartRun) -> None:
        """Write the command to the run's owner, and the event that tells of it. Raises as `events` does.

        Dies between the two: the sender got no answer; sent again with the same seed, both carry the same ids.
        """
        producer, registry = self._with_room()
        key, encode = start.run_id.encode(), self._codec.encode
        seen = [(REGISTRY_HEADER, b"%d" % registry.table.offset)]
        owner = run_partition(start.run_id, self._topics.run_partitions)
        command = Outgoing(self._topics.run_steps, key, encode(start), partition=owner)
        told = Outgoing(self._topics.internal_events, key, encode(event), seen)
        await self._acknowledged(producer.send_all((command, told)))

    async def start(self, start: StartRun) -> None:
        """Write the command to the run's owner. Raises as `events` does."""
        owner = run_partition(start.run_id, self._topics.run_partitions)
        value = self._codec.encode(start)
        await self.record(Outgoing(self._topics.run_steps, start.run_id.encode(), value, partition=owner))

    async def record(self, record: Outgoing) -> None:
        """Write a record as it is. Raises as `events` does."""
        producer, _registry = self._with_room()
        await self._acknowledged(producer.send_all((record,)))

    async def refresh(self) -> None:
        """Return when our table holds what any process has written before; raises `Unavailable` else."""
        _producer, registry = self._parts()
        await registry.refresh(self.bounds.kafka_timeout_seconds)

    async def functions(self, records: Sequence[TableRecord]) -> None:
        """Write records of the functions topic (or tombstones) and wait until our own table holds them.

        So whoever is told that its app is registered finds it triggered by its very next event.
        """
        if not records:
            return
        producer, registry = self._parts()
        topic = self._topics.functions
        sent = producer.send_all([Outgoing(topic, _key(r), self._value(r)) for r in records])
        offset = await self._acknowledged(sent)
        if not await registry.reached(offset, self.bounds.kafka_timeout_seconds):
            raise Unavailable("the change was written, but is not readable yet; send it again")

    def _value(self, record: TableRecord) -> bytes | None:
        return None if isinstance(record, Forgotten) else self._codec.encode(record)

    def _with_room(self) -> tuple[Producer, Registry]:
        producer, registry = self._parts()
        if producer.in_flight >= self.bounds.max_unacknowledged_events:
            raise Overloaded(f"{producer.in_flight} events wait for Kafka already; send again in a moment")
        return producer, registry

    def _parts(self) -> tuple[Producer, Registry]:
        if self._open is None:
            raise Unavailable(f"waiting for {self.waiting_for}; send again in a moment")
        return self._open

    async def _acknowledged(self, sent: asyncio.Future[int]) -> int:
        bound = self.bounds.kafka_timeout_seconds
        try:
            async with asyncio.timeout(bound):
                return await sent
        except TimeoutError as error:
            raise Unavailable(f"Kafka did not acknowledge within {bound:g} s; send again") from error


def _key(record: TableRecord) -> bytes:
    match record:
        case App():
            return app_key(record.name).encode()
        case Cancellation():
            return cancellation_key(record.id)
        case Function() | Forgotten():
            return record.key.encode()
        case _:
            assert_never(record)
