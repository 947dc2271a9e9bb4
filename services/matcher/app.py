"""The Faust app: one agent over both event topics, whose records `intake` takes.

The agent reads the stream one event at a time, without `take` and its timer: an idle stream then costs nothing, and an
event is not held back for others. Batches form where they pay, in librdkafka's queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import faust

from ..kafka import clients
from ..kafka.produce import AsyncProducer
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..messages.incoming import Arrival, IncomingEvents
from ..settings import KafkaSettings, MatcherSettings
from .faust_kafka import ConsumerOnly, transport
from .header_names import accept_any_header_names
from .intake import Intake, Ports

log = logging.getLogger(__name__)


class MatcherApp(faust.App):
    """A Faust app that only consumes."""

    BootStrategy = ConsumerOnly


def build_app(settings: MatcherSettings, kafka: KafkaSettings, ready: Callable[[], None]) -> faust.App:
    """The app, to be run by a worker; `ready` is called when it has its partitions and the function table."""
    accept_any_header_names()
    app = MatcherApp(**options(settings, kafka))
    app.transport = transport(app, kafka)
    topics = kafka.topics()
    source = app.topic(
        topics.events, topics.internal_events, key_serializer="raw", value_serializer="raw", allow_empty=True
    )
    assigned = asyncio.Event()

    async def rebalanced(*_: object, **__: object) -> None:
        assigned.set()

    app.on_rebalance_complete.connect(rebalanced, weak=False)

    def fail(error: Exception) -> None:
        app.add_future(app.crash(error))

    @app.agent(source, name="matcher")
    async def matcher(stream: Any) -> None:
        async with opened(kafka) as ports:
            intake = Intake(ports, settings.matcher_max_in_flight, fail)
            announcement = asyncio.create_task(_announce(assigned, ready))
            try:
                async for event in stream.noack().events():
                    message = event.message
                    await intake.take(_arrival(message), message.key, event.ack)
            finally:
                announcement.cancel()

    return app


def options(settings: MatcherSettings, kafka: KafkaSettings) -> dict[str, Any]:
    """Our settings in Faust's words: no topics of its own, no web server, no acknowledgement but ours."""
    return {
        "id": f"{kafka.topic_prefix}matcher",
        "broker": f"kafka://{kafka.kafka_bootstrap_servers.split(',')[0]}",
        "datadir": str(settings.data_dir / "matcher"),
        "store": "memory://",
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "agent_supervisor": "mode.CrashingSupervisor",
        "stream_ack_exceptions": False,
        "stream_ack_cancelled_tasks": False,
        "stream_recovery_delay": 0.0,
        "stream_buffer_maxsize": settings.matcher_buffer_events,
        "broker_session_timeout": kafka.kafka_session_timeout_ms / 1000,
        "broker_commit_interval": 1.0,
        "worker_redirect_stdouts": False,
    }


@asynccontextmanager
async def opened(kafka: KafkaSettings) -> AsyncIterator[Ports]:
    """The ports of one worker; left only when what was sent has arrived, or ten seconds later."""
    codec, schemas = await wait_for_codec(kafka)
    registry = FunctionRegistry(kafka, codec)
    await registry.start()
    producer = AsyncProducer(clients.producer(kafka, "penstock-matcher"))
    try:
        yield Ports(IncomingEvents(codec, schemas), registry, producer, codec, kafka.topics())
    finally:
        await producer.close()
        await registry.close()


async def _announce(assigned: asyncio.Event, ready: Callable[[], None]) -> None:
    await assigned.wait()
    ready()


def _arrival(message: Any) -> Arrival:
    """Faust tells times in seconds, and no headers as None."""
    headers = message.headers
    return Arrival(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=round((message.timestamp or 0) * 1000),
        value=message.value,
        headers=headers if isinstance(headers, tuple | list) else (),
    )
