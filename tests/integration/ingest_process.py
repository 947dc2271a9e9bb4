"""Ingest served within the test's event loop: real sockets, real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from confluent_kafka import Consumer, TopicPartition

from penstock.cli.ports import free_port
from penstock.ingest.service import serve
from penstock.kafka import clients
from penstock.messages.codec import Codec
from penstock.messages.records import Event
from penstock.settings import KafkaSettings, ServerSettings

READY_SECONDS = 60.0


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


class Ingest:
    """A service that is coming up, with a client for it."""

    def __init__(self, settings: KafkaSettings, server: ServerSettings) -> None:
        self.ready = asyncio.Event()
        self.said: list[str] = []
        self.task = asyncio.create_task(serve(server, settings, (), self._heard))
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=30)

    def _heard(self, text: str) -> None:
        self.said.append(text)
        self.ready.set()

    async def wait_ready(self) -> None:
        """Return when it accepts events; raise what ended it."""
        waiting = asyncio.create_task(self.ready.wait())
        await asyncio.wait((waiting, self.task), timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()
        assert self.ready.is_set(), "ingest was not ready in time"

    async def wait_status(self, path: str, status: int) -> httpx.Response:
        """Ask until the answer has this status."""
        answers: list[httpx.Response] = []

        async def answered() -> bool:
            try:
                answers.append(await self.http.get(path))
            except httpx.TransportError:  # not listening yet
                return False
            return answers[-1].status_code == status

        await eventually(answered, READY_SECONDS)
        return answers[-1]


def settings(**changes: object) -> ServerSettings:
    """A dev server on a free port that looks for nobody."""
    own: dict[str, object] = {"mode": "dev", "port": free_port(), "discover_apps": False, "app_poll_seconds": 3600}
    return ServerSettings(**own | changes)  # type: ignore[arg-type]


@asynccontextmanager
async def ingest(kafka: KafkaSettings, server: ServerSettings | None = None) -> AsyncIterator[Ingest]:
    """Ingest while the block runs; it must end when it is cancelled."""
    running = Ingest(kafka, server or settings())
    try:
        yield running
    finally:
        await running.http.aclose()
        running.task.cancel()
        await asyncio.wait((running.task,), timeout=30)
        assert running.task.done(), "ingest did not stop"


def events_on_topic(kafka: KafkaSettings) -> list[Event]:
    """Everything that lies on the events topic now, in no order."""
    topic, codec = kafka.topics().events, Codec()
    consumer = Consumer(clients.consumer(kafka, "test", "test"))
    try:
        found: list[Event] = []
        for number in range(kafka.event_partitions):
            place = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=20)
            consumer.assign([place])
            for _ in range(end):
                message = consumer.poll(20)
                assert message is not None
                assert message.error() is None
                value = message.value()
                assert value is not None
                found.append(codec.decode_as(Event, value))
        return found
    finally:
        consumer.close()
