"""A topic of one partition that every process reads to its end and then follows: registries are made of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from ..errors import Unavailable, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from ..settings import KafkaSettings
from . import clients

log = logging.getLogger(__name__)

#: Pause after an error, before the same records are read again.
RETRY_SECONDS = 1.0

R = TypeVar("R")


class TopicFollower(Generic[R]):
    """Follows in a thread; what it has read is taken on the event loop, in batches and in order.

    Needs no consumer group: every process reads all of it. A record that cannot be used is logged and passed over,
    so that one broken entry does not take the others down.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        name: str,
        read: Callable[[bytes, bytes | None], R | None],
        take: Callable[[list[tuple[R, int]], int], None],
    ) -> None:
        """`read` makes a record of key and value (None for a tombstone), None of what does not matter, or raises
        `UndecodableRecord`; `take` gets records with their offsets, and the offset up to which the topic is read."""
        self.offset = -1
        """How far the topic has been taken."""
        self._topic = topic
        self._name = name
        self._read_value = read
        self._take_records = take
        self._config = clients.consumer(settings, f"penstock-{name}", f"{settings.topic_prefix}{name}-reader")
        self._config |= {"queued.min.messages": 100, "enable.partition.eof": False}
        self._waiters: list[tuple[int, asyncio.Future[bool]]] = []
        self._open = True
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Return when everything that was on the topic at the time of the call has been taken.

        Waits as long as Kafka is away.
        """
        self._loop = asyncio.get_running_loop()
        self._caught_up: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._follow, name=f"{self._name}-follower", daemon=True)
        self._thread.start()
        await self._caught_up

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """True as soon as the topic is taken up to `offset`; False when that takes too long."""
        if self.offset >= offset:
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

    async def refresh(self, timeout_seconds: float) -> None:
        """Return when everything that is on the topic now has been taken; `Unavailable` when that takes too long."""
        end = await self.end(timeout_seconds)
        if not await self.reached(end - 1, timeout_seconds):
            raise Unavailable(f"{self._topic} has not been read up to its end {end} yet")

    async def end(self, timeout_seconds: float) -> int:
        """Where the topic ends now, as its leader says; `Unavailable` when it does not answer in time."""
        return await asyncio.to_thread(self._end, timeout_seconds)

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
                    position = self._poll(consumer, partition, end)
                except Exception as error:  # one that ends this thread would leave us with what was, for good
                    end_if_out_of_memory(error)
                    log.warning("%s: %r; reading on from %s", self._topic, error, partition.offset)
                    time.sleep(RETRY_SECONDS)
                    consumer.assign([partition])
                else:
                    partition.offset = position if position >= 0 else partition.offset
        finally:
            consumer.close()

    def _poll(self, consumer: Consumer, partition: TopicPartition, end: int | None) -> int:
        """Pass on what has come; the position behind it."""
        first = consumer.poll(0.5)
        messages = [first, *consumer.consume(500, 0)] if first is not None else []
        position = int(consumer.position([partition])[0].offset)
        taken = [entry for m in messages if (entry := self._read(m)) is not None]
        if messages or not self._caught_up.done():
            caught_up = end is not None and max(position, 0) >= end
            self._call(partial(self._take, taken, position, caught_up))
        return position

    def _end(self, timeout_seconds: float) -> int:
        """Where the topic ends. Asked by a consumer of its own: the other one is in use by its thread."""
        consumer = Consumer(self._config)
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=timeout_seconds)
            return 0 if high == low else int(high)
        except KafkaException as error:
            raise Unavailable(f"the end of {self._topic} cannot be asked: {error}") from error
        finally:
            consumer.close()

    def _end_of(self, consumer: Consumer) -> int | None:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=2.0)
        except Exception as error:  # Kafka is away, or the topic is not there yet: ask again
            log.debug("%s: %s", self._topic, error)
            return None
        return 0 if high == low else int(high)

    def _read(self, message: Message) -> tuple[R, int] | None:
        if message.error() is not None:
            log.debug("%s: %s", self._topic, message.error())
            return None
        try:
            record = self._read_value(message.key() or b"", message.value())
            return None if record is None else (record, message.offset() or 0)
        except UndecodableRecord as error:
            log.warning("%s, offset %s: passed over: %s", self._topic, message.offset(), error)
            return None

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _take(self, taken: list[tuple[R, int]], position: int, caught_up: bool) -> None:
        self.offset = max(self.offset, position - 1)
        self._take_records(taken, self.offset)
        if caught_up and not self._caught_up.done():
            self._caught_up.set_result(None)
        for offset, waiter in self._waiters:
            if self.offset >= offset and not waiter.done():
                waiter.set_result(True)
