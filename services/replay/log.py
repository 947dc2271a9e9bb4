"""The topic `replays`: followed into the table, and written so that who is answered finds what it wrote."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from ..errors import Unavailable, UndecodableRecord
from ..kafka import clients
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.ids import ReplayId
from ..messages.keys import replay_key
from ..messages.records import Replay, ReplayControl, ReplayProgress
from ..settings import KafkaSettings
from .table import ReplayRecord, ReplayState, ReplayTable, usable

log = logging.getLogger(__name__)

#: Pause after an error, before the topic is read again.
RETRY_SECONDS = 1.0
ACKNOWLEDGED_SECONDS = 10.0


class Sender(Protocol):
    """What `kafka.produce` does."""

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Send records together; the future is done when all are acknowledged, or raises `Unavailable`."""


class ReplayLog:
    """All replays, as the topic has them. Follows it in a thread; the table changes only on the event loop."""

    def __init__(self, settings: KafkaSettings, codec: Codec, producer: Sender) -> None:
        self.table = ReplayTable()
        self.changed = asyncio.Event()
        """Set with every change, for the one who waits for it and clears it."""
        self._loop = asyncio.get_running_loop()
        self._topic = settings.topics().replays
        self._codec = codec
        self._producer = producer
        self._config = clients.consumer(settings, "penstock-replays", f"{settings.topic_prefix}replays-reader")
        self._config |= {"queued.min.messages": 100, "enable.partition.eof": True, "fetch.wait.max.ms": 100}
        self._caught_up = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._open = True
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Return when everything that is on the topic is in the table. Waits as long as Kafka is away."""
        self._thread = threading.Thread(target=self._follow, name="replays", daemon=True)
        self._thread.start()
        await self._caught_up.wait()

    def state(self, replay: ReplayId) -> ReplayState | None:
        return self.table.get(replay)

    async def write(self, record: ReplayRecord) -> None:
        """Write, and return when the table has it. Raises `Unavailable` when that does not happen in time."""
        outgoing = Outgoing(self._topic, replay_key(record), self._codec.encode(record), partition=0)
        try:
            async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
                await self._reached(await self._producer.send_all([outgoing]))
        except TimeoutError as error:
            raise Unavailable(f"Kafka did not take it within {ACKNOWLEDGED_SECONDS:g} s; try again") from error

    async def close(self) -> None:
        self._open = False
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 3.0)

    async def _reached(self, offset: int) -> None:
        if self.table.offset >= offset:
            return
        entry = (offset, self._loop.create_future())
        self._waiters.append(entry)
        try:
            await entry[1]
        finally:
            self._waiters.remove(entry)

    def _follow(self) -> None:
        consumer = Consumer(self._config)
        consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
        try:
            while self._open:
                first = consumer.poll(0.5)
                if first is not None:
                    self._take([first, *consumer.consume(500, 0)])
        finally:
            consumer.close()

    def _take(self, messages: Sequence[Message]) -> None:
        """Errors pass: the reader goes on by itself when Kafka is back. What was read is never read again."""
        taken = [(record, m.offset() or 0) for m in messages if (record := self._read(m)) is not None]
        at_end = any(_is_end(m) for m in messages)
        if not taken and not at_end:
            time.sleep(RETRY_SECONDS / 10)
            return
        self._call(partial(self._apply, taken, at_end))

    def _read(self, message: Message) -> ReplayRecord | None:
        value = message.value()
        if message.error() is not None or value is None:
            return None
        try:
            record = self._codec.decode(value)
            if isinstance(record, Replay | ReplayControl | ReplayProgress):
                return usable(record)
            raise UndecodableRecord(f"a {type(record).__name__} does not belong on this topic")
        except UndecodableRecord as error:
            log.warning("replays topic, offset %s: passed over: %s", message.offset(), error)
            return None

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _apply(self, taken: Sequence[tuple[ReplayRecord, int]], at_end: bool) -> None:
        for record, offset in taken:
            self.table.apply(record)
            self.table.offset = max(self.table.offset, offset)
        self.changed.set()
        if at_end:
            self._caught_up.set()
        for offset, waiter in self._waiters:
            if self.table.offset >= offset and not waiter.done():
                waiter.set_result(None)


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.name() == "_PARTITION_EOF"
