"""The function table, kept up to date from the compacted `functions` topic."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from ..errors import UndecodableRecord
from ..functions.table import Forgotten, FunctionTable, TableRecord
from ..messages.codec import Codec
from ..messages.records import App, Cancellation, Function
from ..settings import KafkaSettings
from . import clients

log = logging.getLogger(__name__)

#: Pause after an error, before the same records are read again.
RETRY_SECONDS = 1.0


class FunctionRegistry:
    """Reads the topic to its end, then follows it in a thread; the table changes only on the event loop.

    Needs no consumer group: every process reads all of it. A record that cannot be used is logged and passed over,
    so that one broken entry does not take the others down.
    """

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self.table = FunctionTable()
        self._topic = settings.topics().functions
        self._codec = codec
        self._config = clients.consumer(settings, "penstock-registry", f"{settings.topic_prefix}registry-reader")
        self._config |= {"queued.min.messages": 100, "enable.partition.eof": False}
        self._waiters: list[tuple[int, asyncio.Future[bool]]] = []
        self._listeners: list[Callable[[], None]] = []
        self._open = True
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Return when everything that was on the topic at the time of the call is in the table.

        Waits as long as Kafka is away.
        """
        self._loop = asyncio.get_running_loop()
        self._caught_up: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._follow, name="function-registry", daemon=True)
        self._thread.start()
        await self._caught_up

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after each batch of changes."""
        self._listeners.append(listener)

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """True as soon as the table has taken the topic up to `offset`; False when that takes too long."""
        if self.table.offset >= offset:
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (offset, waiter)
        self._waiters.append(entry)
        try:
            return await asyncio.wait_for(waiter, timeout_seconds)
        except TimeoutError:
            return False
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def close(self) -> None:
        self._open = False
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 3.0)

    def _follow(self) -> None:
        consumer = Consumer(self._config)
        partition = TopicPartition(self._topic, 0, OFFSET_BEGINNING)
        consumer.assign([partition])
        end: int | None = None
        try:
            while self._open:
                end = self._end_of(consumer) if end is None else end
                try:
                    position = self._take(consumer, partition, end)
                except Exception as error:  # one that ends this thread would leave us with old functions for good
                    log.warning("functions topic: %r; reading on from %s", error, partition.offset)
                    time.sleep(RETRY_SECONDS)
                    consumer.assign([partition])
                else:
                    partition.offset = position if position >= 0 else partition.offset
        finally:
            consumer.close()

    def _take(self, consumer: Consumer, partition: TopicPartition, end: int | None) -> int:
        """Take what has come; the position behind it."""
        first = consumer.poll(0.5)
        messages = [first, *consumer.consume(500, 0)] if first is not None else []
        position = int(consumer.position([partition])[0].offset)
        taken = [entry for m in messages if (entry := self._read(m)) is not None]
        if taken or not self._caught_up.done():
            caught_up = end is not None and max(position, 0) >= end
            self._call(partial(self._apply, taken, position, caught_up))
        return position

    def _end_of(self, consumer: Consumer) -> int | None:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=2.0)
        except Exception as error:  # Kafka is away, or the topic is not there yet: ask again
            log.debug("functions topic: %s", error)
            return None
        return 0 if high == low else int(high)

    def _read(self, message: Message) -> tuple[TableRecord, int] | None:
        if message.error() is not None:
            log.debug("functions topic: %s", message.error())
            return None
        try:
            return self._record(message), message.offset() or 0
        except UndecodableRecord as error:
            log.warning("functions topic, offset %s: passed over: %s", message.offset(), error)
            return None

    def _record(self, message: Message) -> TableRecord:
        value = message.value()
        if value is None:
            return Forgotten((message.key() or b"").decode(errors="replace"))
        record = self._codec.decode(value)
        if isinstance(record, Function | App | Cancellation):
            return record
        raise UndecodableRecord(f"a {type(record).__name__} does not belong on this topic")

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _apply(self, taken: list[tuple[TableRecord, int]], position: int, caught_up: bool) -> None:
        for record, offset in taken:
            try:
                self.table.apply(record, offset)
            except (KeyError, ValueError, TypeError) as error:
                log.warning("functions topic, offset %s: passed over: %r: %s", offset, error, str(record)[:200])
        self.table.offset = max(self.table.offset, position - 1)
        if caught_up and not self._caught_up.done():
            self._caught_up.set_result(None)
        for offset, waiter in self._waiters:
            if self.table.offset >= offset and not waiter.done():
                waiter.set_result(True)
        if taken:
            for listener in self._listeners:
                listener()
