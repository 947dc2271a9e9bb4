"""The Faust app: two agents, one over both event topics, one over waits and the events that may meet them.

The agents read their streams one record at a time, without `take` and its timer: an idle stream then costs nothing,
and a record is not held back for others. Batches form where they pay, in librdkafka's queue.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faust

from ..kafka import clients
from ..kafka.partition_log import GroupOffsets, KafkaPartitionLog
from ..kafka.produce import AsyncProducer
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..kafka.shape_registry import ShapeRegistry
from ..messages.incoming import Arrival, IncomingEvents
from ..settings import KafkaSettings, MatcherSettings
from ..state.rocks import RocksStore
from .acknowledgements import Place
from .deliveries import Deliveries
from .faust_kafka import ConsumerOnly, transport
from .header_names import accept_any_header_names
from .intake import Intake, Ports
from .lookback import Lookback
from .lost_connections import hear_of_lost_connections
from .offset_errors import heed_offset_errors
from .ownership import WaitOwnership
from .pairing import PairingPorts
from .rereading import Rereader
from .shapes import ShapeTable

log = logging.getLogger(__name__)

#: What is not delivered by then ends the matcher, and the next one has a fresh connection. It waits for Kafka longer.
DELIVERY = {"delivery.timeout.ms": 60_000}

#: So long a worker that has failed may take to stop in order: RocksDB, for one, may not close on a full disk.
STOP_SECONDS = 12.0


class MatcherApp(faust.App):
    """A Faust app that only consumes."""

    BootStrategy = ConsumerOnly


@dataclass(frozen=True, slots=True)
class Parts:
    """What one worker is made of; all of it belongs to its event loop."""

    intake: Intake
    lookback: Lookback
    rereader: Rereader
    waits: WaitOwnership
    pairing: PairingPorts


def build_app(settings: MatcherSettings, kafka: KafkaSettings, ready: Callable[[], None]) -> faust.App:
    """The app, to be run by a worker; `ready` is called when it has its partitions and the function table."""
    accept_any_header_names()
    hear_of_lost_connections()
    heed_offset_errors()
    app = MatcherApp(**options(settings, kafka))
    topics = kafka.topics()
    raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw", "allow_empty": True}
    events = app.topic(topics.events, topics.internal_events, **raw)
    meetings = app.topic(topics.waits, topics.correlations, **raw)
    opened_parts: list[Parts] = []
    is_open, announced = asyncio.Event(), asyncio.Event()

    def held_back() -> Collection[Place]:
        return opened_parts[0].waits.held_back((topics.waits, topics.correlations)) if opened_parts else ()

    def note(place: Place) -> str | None:
        """Offsets of events are stored with what was looked back for; nothing is taken before that is there."""
        if place[0] not in (topics.events, topics.internal_events):
            return ""
        return opened_parts[0].lookback.note(place) if opened_parts else None

    app.transport = transport(app, kafka, held_back, note)

    def fail(error: Exception) -> None:
        end_for_sure(STOP_SECONDS)
        app.add_future(app.crash(error))

    async def rebalanced(*_: object, **__: object) -> None:
        await is_open.wait()
        parts, assigned = opened_parts[0], app.consumer.assignment()
        events_of = (topics.events, topics.internal_events)
        parts.rereader.assign([(tp.topic, tp.partition) for tp in assigned if tp.topic in events_of])
        parts.waits.assign({tp.partition for tp in assigned if tp.topic == topics.waits}, parts.pairing)
        if not announced.is_set():
            announced.set()
            ready()

    app.on_rebalance_complete.connect(rebalanced, weak=False)

    @app.agent(events, name="matcher")
    async def matcher(stream: Any) -> None:
        with told_to(fail):
            async with opened(settings, kafka, app, fail) as parts:
                opened_parts.append(parts)
                is_open.set()
                async for event in stream.noack().events():
                    message = event.message
                    await parts.intake.take(_arrival(message), message.key, event.ack)

    @app.agent(meetings, name="waits")
    async def waits(stream: Any) -> None:
        await is_open.wait()
        parts = opened_parts[0]
        with told_to(fail):
            async for event in stream.noack().events():
                message = event.message
                await parts.waits.take(_arrival(message), message.key, event.ack)

    return app


class Member:
    """We in our group, by the consumer that Faust makes when it wants to."""

    def __init__(self, app: faust.App) -> None:
        self._app: Any = app

    async def stored(self, places: Collection[Place]) -> Mapping[Place, tuple[int, str]]:
        noted: Mapping[Place, tuple[int, str]] = await self._app.consumer.stored(places)
        return noted

    async def note_again(self, places: Collection[Place]) -> None:
        await self._app.consumer.note_again(places)


@contextmanager
def told_to(fail: Callable[[Exception], None]) -> Iterator[None]:
    """The whole worker fails with what fails here."""
    try:
        yield
    except Exception as error:
        fail(error)
        raise


def end_for_sure(seconds: float) -> None:
    """The process ends with exit code 1 by then, in order or not: one that lives on without its agents would keep its
    partitions, and nobody would match. Nothing that is lost by that was acknowledged."""
    timer = threading.Timer(seconds, _end_at_once, (seconds,))
    timer.daemon = True
    timer.start()


def _end_at_once(seconds: float) -> None:
    log.error("the matcher has failed and did not stop within %g s: it ends as it is", seconds)
    os._exit(1)


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
async def opened(
    settings: MatcherSettings, kafka: KafkaSettings, app: faust.App, fail: Callable[[Exception], None]
) -> AsyncIterator[Parts]:
    """The parts of one worker; left only when what was sent has arrived, or ten seconds later."""
    topics, window_ms = kafka.topics(), round(settings.wait_lookback_window_seconds * 1000)
    codec, schemas = await wait_for_codec(kafka)
    open_log = partial(KafkaPartitionLog, kafka)
    async with AsyncExitStack() as stack:
        producer = AsyncProducer(clients.producer(kafka, "penstock-matcher") | DELIVERY)
        matched = stack.enter_context(closing(GroupOffsets(kafka, app.conf.id)))
        registry, shapes = FunctionRegistry(kafka, codec), ShapeTable()
        lookback = Lookback(shapes)
        rereader = Rereader(shapes, lookback, open_log, Member(app), now_ms)
        shape_registry = ShapeRegistry(kafka, codec, rereader.learn)
        stack.push_async_callback(_closed, producer, registry, shape_registry)
        for one in (registry, shape_registry):
            await one.start()
        deliveries = Deliveries(producer, settings.matcher_max_in_flight, fail)
        waits = WaitOwnership(open_store(settings, kafka), open_log, matched, window_ms, partial(_let_go, app))
        stack.push_async_callback(waits.close)
        incoming = IncomingEvents(codec, schemas)
        rereading = asyncio.create_task(rereader.run(IncomingEvents(codec, schemas), deliveries, codec, topics))
        rereading.add_done_callback(partial(_failed, fail))
        stack.push_async_callback(_ended, rereading)
        yield Parts(
            Intake(Ports(incoming, registry, deliveries, codec, topics, shapes, lookback)),
            lookback,
            rereader,
            waits,
            PairingPorts(deliveries, codec, topics, now_ms, fail),
        )


def open_store(settings: MatcherSettings, kafka: KafkaSettings) -> RocksStore:
    """The tables of waits. Two installations in one folder keep apart by their topic prefix."""
    return RocksStore(Path(settings.data_dir) / "waits" / (kafka.topic_prefix.rstrip(".") or "penstock"))


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


async def _let_go(app: faust.App, places: dict[Place, int | None]) -> None:
    consumer: Any = app.consumer
    await consumer.let_go(places)


async def _closed(*parts: AsyncProducer | FunctionRegistry | ShapeRegistry) -> None:
    """All at once: only afterwards Faust leaves the group, and until then nobody matches our partitions' events."""
    await asyncio.gather(*(part.close() for part in parts))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _failed(fail: Callable[[Exception], None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))


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
