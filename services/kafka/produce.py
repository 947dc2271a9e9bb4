"""Sending with delivery awaited: librdkafka's callbacks as asyncio futures.

One thread serves the callbacks and wakes the event loop once per batch of them, not once per record.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ..errors import InvalidInput, Unavailable
from ..exhaustion import end_if_out_of_memory
from .clients import MAX_MESSAGE_BYTES, Config

#: With its headers and Kafka's own fields, a record must stay below what a message may have.
MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - 128 * 1024

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send; without a partition the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int | None = None
    timestamp: int | None = None


def require_room(topic: str, key: bytes | None, value: bytes | None) -> None:
    """Raises `InvalidInput` for a record that is larger than Kafka may take."""
    size = len(key or b"") + len(value or b"")
    if size > MAX_RECORD_BYTES:
        raise InvalidInput(f"a record of {size} bytes for {topic} is larger than the {MAX_RECORD_BYTES} that fit")


class _Batch:
    """Counts down the deliveries of records that were sent together."""

    __slots__ = ("error", "future", "left", "offset")

    def __init__(self, future: asyncio.Future[int], left: int) -> None:
        self.future = future
        self.left = left
        self.offset = -1
        self.error: KafkaError | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.offset)
        else:
            self.future.set_exception(Unavailable(f"Kafka did not take the record: {self.error.str()}"))


class AsyncProducer:
    """Sends records and tells when all in-sync replicas have them.

    Must be made and used on one event loop. Records that were not acknowledged when the process dies may or may not
    be on the topic: whoever sends must be able to send again.
    """

    def __init__(self, config: Config) -> None:
        self._producer = Producer(config)
        self._loop = asyncio.get_running_loop()
        self._settled: deque[_Batch] = deque()
        self._open = True
        self.in_flight = 0
        """Records sent and not yet acknowledged."""
        self.broken: asyncio.Future[None] = self._loop.create_future()
        """Raises `Unavailable` as soon as the producer can never send again: say, Kafka lost what it acknowledged."""
        self._thread = threading.Thread(target=self._serve, name="kafka-deliveries", daemon=True)
        self._thread.start()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> asyncio.Future[int]:
        """Send one record; the future gives its offset, or raises `Unavailable`."""
        return self.send_all((Outgoing(topic, key, value, headers, partition, timestamp),))

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Send records together; the future gives the last offset when all are acknowledged.

        Raises `Unavailable` at once when the local queue is full; some of the records may then be sent.
        """
        batch = _Batch(self._loop.create_future(), len(records))
        if not records:
            batch.future.set_result(-1)
            return batch.future
        on_delivery = self._delivery_of(batch)
        for place, record in enumerate(records):
            try:
                self._produce(record, on_delivery)
            except (BufferError, KafkaException) as error:
                self.in_flight += place
                raise Unavailable(f"the send queue to Kafka is full or broken: {error}") from error
        self.in_flight += len(records)
        return batch.future

    async def close(self, timeout_seconds: float = 10.0) -> None:
        """Wait for what is on its way, at most `timeout_seconds`, then stop."""
        with contextlib.suppress(KafkaException):  # it is broken: nothing is on its way any more
            await asyncio.to_thread(self._producer.flush, timeout_seconds)
        self._open = False
        await asyncio.to_thread(self._thread.join, 2.0)
        self._settle()

    def _produce(self, record: Outgoing, on_delivery: Callable[[KafkaError | None, Message], None]) -> None:
        self._producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers) if record.headers else None,
            partition=-1 if record.partition is None else record.partition,
            timestamp=record.timestamp or 0,
            on_delivery=on_delivery,
        )

    def _delivery_of(self, batch: _Batch) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                batch.error = error
            else:
                batch.offset = message.offset() or 0
            self._settled.append(batch)

        return delivered

    def _serve(self) -> None:
        while self._open:
            try:
                self._producer.poll(0.5)
            except Exception as error:  # a fatal error is raised here, whatever calls back meanwhile; once
                end_if_out_of_memory(error)
                self._call(partial(self._break, error))
                time.sleep(0.1)
            if self._settled:
                self._call(self._settle)

    def _call(self, callback: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _break(self, error: Exception) -> None:
        if not self.broken.done():
            self.broken.set_exception(
                Unavailable(f"the producer can send nothing any more: {error.__cause__ or error}")
            )
            self.broken.exception()  # whoever does not ask is not warned: its sends fail

    def _settle(self) -> None:
        while self._settled:
            batch = self._settled.popleft()
            self.in_flight -= 1
            batch.left -= 1
            if batch.left == 0:
                batch.settle()


async def while_usable(producer: AsyncProducer, work: Coroutine[None, None, None]) -> None:
    """Do the work, until the producer is broken: then it is cancelled, and what broke the producer is raised."""
    doing = asyncio.create_task(work)
    try:
        await asyncio.wait((doing, producer.broken), return_when=asyncio.FIRST_COMPLETED)
        if producer.broken.done():
            producer.broken.result()
        await doing
    finally:
        doing.cancel()
        await asyncio.wait((doing,))
