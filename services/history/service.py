"""The history service: topics in, rows out, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException, Message
from sqlalchemy import Engine

from ..errors import Fenced, Unavailable
from ..kafka import schema_registry
from ..messages.incoming import Arrival, IncomingEvents
from ..settings import HistorySettings, KafkaSettings
from .database import prepare, writer_engine
from .feed import HistoryFeed
from .retention import Ages, Retention
from .rows import RowFolder, Rows
from .users import UserNames
from .write import HistoryWriter, Move, Place

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


async def serve(settings: HistorySettings, kafka: KafkaSettings, ready: Callable[[str], None]) -> None:
    """Keep the read model up to date until cancelled.

    A database or a cluster that is away is waited for. Killed at any time, it goes on behind the last record that
    is in the database: none is missing, none counts twice. Raises `InvalidSettings` for a database of another version.
    """
    loop = asyncio.get_running_loop()
    stopping = threading.Event()
    reader = HistoryReader(settings, kafka, stopping, lambda text: _tell(loop, ready, text))
    running = asyncio.create_task(asyncio.to_thread(reader.run))
    try:
        await asyncio.shield(running)
    finally:
        stopping.set()
        if not running.done():
            await asyncio.wait([running], timeout=10.0)


class HistoryReader:
    """The loop of one process: one thread, one consumer, one database connection."""

    def __init__(
        self,
        settings: HistorySettings,
        kafka: KafkaSettings,
        stopping: threading.Event,
        ready: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._kafka = kafka
        self._stopping = stopping
        self._ready: Callable[[str], None] | None = ready
        self._pause = _FIRST_PAUSE_SECONDS

    def run(self) -> None:
        """Read and write until stopping; whatever fails is taken down and made anew, from the database's offsets."""
        engine = writer_engine(self._settings.database_url())
        try:
            while not self._stopping.is_set():
                try:
                    self._attempt(engine)
                except (Unavailable, Fenced, KafkaException) as error:
                    log.warning("history: %s; trying again in %.1f s", error, self._pause)
                    self._stopping.wait(self._pause)
                    self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        finally:
            engine.dispose()

    def _attempt(self, engine: Engine) -> None:
        users = UserNames.at(self._settings.history_user_path)
        database_id = prepare(engine, users)
        feed = HistoryFeed(self._kafka, self._stopping)
        registry = schema_registry.connect(self._kafka)
        try:
            codec = schema_registry.codec(registry)
            folder = RowFolder(codec, IncomingEvents(codec, registry), users)
            writer = HistoryWriter(engine, feed.cluster())
            positions = Positions(writer)
            if engine.dialect.name == "sqlite":
                feed.read_all(positions.read)
            else:
                feed.share(database_id, positions.read)
            retention = Retention(engine, _ages(self._settings))
            self._say_ready(engine)
            while not self._stopping.is_set():
                batch = feed.next_batch(self._settings.history_batch_records)
                if batch:
                    writer.write(self._fold(folder, batch), positions.moves(batch))
                    positions.moved(batch)
                    self._pause = _FIRST_PAUSE_SECONDS
                retention.sweep(time.time_ns() // 1_000_000)
        finally:
            feed.close()
            if registry is not None:
                registry.close()

    def _fold(self, folder: RowFolder, batch: Sequence[Message]) -> Rows:
        topics = self._kafka.topics()
        rows = Rows()
        for message in batch:
            topic = message.topic()
            if topic == topics.run_state:
                folder.add_state(rows, message.key(), message.value(), message.timestamp()[1])
            elif topic == topics.functions:
                folder.add_function(rows, message.value())
            elif topic == topics.dead_letters:
                folder.add_dead_letter(rows, message.value())
            else:
                folder.add_event(rows, arrival(message), topic == topics.internal_events)
        return folder.settle(rows)

    def _say_ready(self, engine: Engine) -> None:
        if self._ready is not None:
            self._ready(f"history writes {engine.url.render_as_string(hide_password=True)}")
            self._ready = None


class Positions:
    """Where the database stands in each partition, as far as this process knows."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer = writer
        self._known: dict[Place, int] = {}

    def read(self) -> dict[Place, int]:
        """Ask the database."""
        self._known = self._writer.positions()
        return self._known

    def moves(self, batch: Sequence[Message]) -> list[Move]:
        return [Move(place, self._known.get(place), offset) for place, offset in _next_offsets(batch).items()]

    def moved(self, batch: Sequence[Message]) -> None:
        self._known |= _next_offsets(batch)


def _ages(settings: HistorySettings) -> Ages:
    return Ages(settings.retention_history_runs_seconds * 1000, settings.retention_history_events_seconds * 1000)


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers = message.headers()
    found = headers if isinstance(headers, list) else []
    return [(key, value) for key, value in found if isinstance(value, bytes)]


def arrival(message: Message) -> Arrival:
    """What librdkafka gives, in the words of `messages.incoming`."""
    return Arrival(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.value(),
        _headers(message),
    )


def _next_offsets(batch: Sequence[Message]) -> dict[Place, int]:
    return {(m.topic() or "", m.partition() or 0): (m.offset() or 0) + 1 for m in batch}


def _tell(loop: asyncio.AbstractEventLoop, ready: Callable[[str], None], text: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(ready, text)
