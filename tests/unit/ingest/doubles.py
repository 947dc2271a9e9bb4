"""Kafka as ingest sees it, in memory: what was sent is kept, and registrations come back into the table at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from starlette.routing import BaseRoute

from penstock.errors import Unavailable
from penstock.functions.table import Forgotten, FunctionTable, TableRecord
from penstock.ingest.app import IngestApp, Parts, ingest_app
from penstock.ingest.publish import Bounds, Publisher
from penstock.ingest.registrar import Registrar
from penstock.ingest.repeat_api import Past
from penstock.ingest.sync_api import Sync
from penstock.kafka.produce import Outgoing
from penstock.messages.codec import Codec
from penstock.messages.records import App, Cancellation, Event, Function, Record
from penstock.settings import KafkaSettings, ServerSettings

NOW = 1_790_000_000_000
KAFKA = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", topic_prefix="t.")
TOPICS = KAFKA.topics()
CODEC = Codec()


@dataclass
class MemoryTopics:
    """Producer and registry at once. `broken` refuses, `silent` never acknowledges."""

    sent: list[Outgoing] = field(default_factory=list)
    table: FunctionTable = field(default_factory=FunctionTable)
    in_flight: int = 0
    broken: bool = False
    silent: bool = False
    readable: bool = True
    codec: Codec = CODEC

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.broken:
            raise Unavailable("Kafka is away")
        if self.silent:
            return future
        self.sent += records
        for record in records:
            if record.topic == TOPICS.functions:
                self.table.apply(self._known(record), self.table.offset + 1)
        future.set_result(self.table.offset)
        return future

    def _known(self, record: Outgoing) -> TableRecord:
        if record.value is None:
            return Forgotten((record.key or b"").decode())
        known = self.codec.decode(record.value)
        assert isinstance(known, Function | App | Cancellation)
        return known

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        return self.readable and self.table.offset >= offset

    async def refresh(self, timeout_seconds: float) -> None:
        """The table is what was sent: it has no way to lag."""
        if self.broken:
            raise Unavailable("Kafka is away")

    def on(self, topic: str) -> list[Record]:
        """What lies on a topic, tombstones left out."""
        return [self.codec.decode(r.value) for r in self.sent if r.topic == topic and r.value is not None]

    def events(self) -> list[Event]:
        """What lies on the events topic."""
        values = [record.value for record in self.sent if record.topic == TOPICS.events]
        return [self.codec.decode_as(Event, value) for value in values if value is not None]


Answering = Callable[[httpx.Request], httpx.Response]


@dataclass
class ListedOwners:
    """Gives these addresses, the next one whenever the last was wrong."""

    addresses: list[str | None] = field(default_factory=lambda: [None])
    asked: list[tuple[int, str | None]] = field(default_factory=list)

    async def address(self, partition: int, known_wrong: str | None = None) -> str | None:
        self.asked.append((partition, known_wrong))
        if len(self.asked) > 1 and len(self.addresses) > 1:
            self.addresses.pop(0)
        return self.addresses[0]


def _nobody(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(500)


def open_publisher(topics: MemoryTopics, bounds: Bounds | None = None) -> Publisher:
    """A publisher that takes in at once."""
    publisher = Publisher(TOPICS, topics.codec, bounds or Bounds(20_000, 0.05))
    publisher.open(topics, topics)
    return publisher


def served(
    topics: MemoryTopics,
    server: ServerSettings | None = None,
    opened: bool = True,
    owner: Answering | None = None,
    past: Past | None = None,
    sync: Sync | None = None,
    more_routes: Sequence[BaseRoute] = (),
) -> IngestApp:
    """The whole application over these topics; `owner` answers for every partition of runs."""
    server = server or ServerSettings(mode="dev", kafka_timeout_seconds=0.05)
    bounds = Bounds(server.max_unacknowledged_events, server.kafka_timeout_seconds)
    publisher = open_publisher(topics, bounds) if opened else Publisher(TOPICS, topics.codec, bounds)
    owners = ListedOwners([None if owner is None else "owner:1"])
    peers = httpx.AsyncClient(transport=httpx.MockTransport(owner or _nobody))
    parts = Parts(publisher, Registrar(publisher, lambda: NOW), owners, peers, past, sync)
    return ingest_app(server, KAFKA, parts, more_routes)


@asynccontextmanager
async def client(app: IngestApp) -> AsyncIterator[httpx.AsyncClient]:
    """Requests to the application, without a socket."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://penstock") as asking:
        yield asking
