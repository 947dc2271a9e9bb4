"""Ingest as a process: HTTP first, so that it can say what it waits for; then Kafka, the function table, the syncs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

import httpx
import uvicorn
from starlette.routing import BaseRoute

from ..errors import InvalidSettings
from ..kafka import clients
from ..kafka.produce import AsyncProducer, while_usable
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..kafka.topics import ensure_topics
from ..keys import require_keys
from ..messages.codec import Codec
from ..settings import KafkaSettings, ServerSettings
from ..web import BACKLOG, EmbeddedServer, configured, require_loopback
from .app import IngestApp, Pages, Parts, ingest_app, now_ms
from .discovery import Discovery
from .owners import GroupOwners
from .publish import Bounds, Publisher
from .registrar import Registrar
from .repeat_api import Past
from .sync import AppSync

log = logging.getLogger(__name__)

Ready = Callable[[str], None]
#: Requests that are being answered may take this long when the service ends.
GRACE_SECONDS = 5
PEER_SECONDS = 15.0


async def serve(
    server: ServerSettings,
    kafka: KafkaSettings,
    more_routes: Sequence[BaseRoute],
    ready: Ready,
    past: Past | None = None,
    pages: Pages | None = None,
) -> None:
    """Serve HTTP until cancelled; `ready` is told when events are accepted.

    Without Kafka it waits, and `/health` and every refused event say so. Raises `InvalidSettings` when the port is
    taken and `TopicMismatch` when the topics have another shape than needed.
    """
    require_loopback(server.mode, server.host, server.dev_on_network)
    require_keys(server)
    codec, _ = await wait_for_codec(kafka)
    bounds = Bounds(server.max_unacknowledged_events, server.kafka_timeout_seconds)
    publisher = Publisher(kafka.topics(), codec, bounds)
    registrar = Registrar(publisher, now_ms)
    with _listen(server) as listening:
        async with _client() as client:
            sync = _app_sync(server, registrar, client)
            parts = Parts(publisher, registrar, GroupOwners(kafka), client, past, sync.sync_now)
            http = EmbeddedServer(_http(server, ingest_app(server, kafka, parts, more_routes, pages)))
            where = f"ingest listens on http://{server.host}:{listening.getsockname()[1]} ({server.mode})"
            work = _take_in(kafka, codec, publisher, sync, lambda: ready(where))
            await _together(http, listening, asyncio.create_task(work))


async def _together(http: EmbeddedServer, listening: socket.socket, work: asyncio.Task[None]) -> None:
    """HTTP and its work, until one ends or we are cancelled. HTTP ends first: its last requests need the work."""
    answering = asyncio.create_task(http.serve([listening]))
    try:
        done, _ = await asyncio.wait((answering, work), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        http.should_exit = True
        await asyncio.wait((answering,), timeout=GRACE_SECONDS + 1)
        work.cancel()
        await asyncio.wait((work,))


async def _take_in(
    kafka: KafkaSettings, codec: Codec, publisher: Publisher, sync: AppSync, ready: Callable[[], None]
) -> None:
    """Wait for Kafka and the function table, then keep apps synced, until cancelled.

    Raises `Unavailable` when the producer is broken for good: another process is to take this one's place.
    """
    await ensure_topics(kafka, _say)
    producer = AsyncProducer(_producer_config(kafka, publisher.bounds.kafka_timeout_seconds))
    registry = FunctionRegistry(kafka, codec)
    try:
        publisher.waiting_for = "the function table"
        await registry.start()
        publisher.open(producer, registry)
        ready()
        await while_usable(producer, sync.run())
    finally:
        await producer.close()
        await registry.close()


def _producer_config(kafka: KafkaSettings, timeout_seconds: float) -> clients.Config:
    """The producer gives up when the sender does: what nobody waits for must not fill its queue."""
    timeout = {"message.timeout.ms": max(int(timeout_seconds * 1000), 100)}
    return clients.producer(kafka, "penstock-ingest") | timeout


def _app_sync(server: ServerSettings, registrar: Registrar, client: httpx.AsyncClient) -> AppSync:
    discovery = Discovery(client, lambda url: bool(registrar.apps_at(url)))
    wanted = server.mode == "dev" and server.discover_apps
    return AppSync(server, registrar, client, now_ms, discovery.look if wanted else None)


def _listen(server: ServerSettings) -> socket.socket:
    try:
        return socket.create_server((server.host, server.port), backlog=BACKLOG)
    except OSError as error:
        raise InvalidSettings(
            f"cannot listen on {server.host}:{server.port}: {error.strerror}; set PENSTOCK_PORT to a free port"
        ) from error


def _client() -> httpx.AsyncClient:
    """For the few requests that go out. No proxy: apps and executors are named as they are reachable."""
    timeout = httpx.Timeout(PEER_SECONDS, connect=2.0)
    return httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=True, max_redirects=3)


def _http(server: ServerSettings, app: IngestApp) -> uvicorn.Config:
    return configured(app, server.max_connections, GRACE_SECONDS)


def _say(text: str) -> None:
    log.warning("%s", text)
