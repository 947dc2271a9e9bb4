"""Waits meet events: what happens to one record of `waits` or `correlations`, from its arrival to its acknowledgement.

Crash order, by `Pairing.take`:
1. decode; what cannot be used is a dead letter;
2. write it to the table: from now on whatever comes later finds it;
3. look for what it meets (pure) → resume commands, sent page by page;
4. when all of them are delivered, and every earlier record of the partition is done with, acknowledge.
Dying anywhere repeats the record: it is written again, and the owners of the runs take each resume once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from ..errors import Unavailable, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.incoming import Arrival
from ..messages.records import CorrelatedEvent, ResumeRun
from ..messages.topics import Topics
from .acknowledgements import Acknowledgements
from .deliveries import Deliveries
from .records import dead_letter, to_runs
from .restoration import Settled, read_wait
from .waits import Page, WaitTable, fits

log = logging.getLogger(__name__)

#: Resumes sent together; each carries the event.
BATCH_BYTES = 1024 * 1024
#: Batches of one record on their way at the same time.
BATCHES_AHEAD = 8
#: Records whose commands take more than one batch, on their way at the same time.
MAX_LONG = 4
#: After so many remembered events, old ones are forgotten.
FORGET_EVERY = 500


@dataclass(frozen=True, slots=True)
class PairingPorts:
    """What pairing works with; all of it belongs to one event loop."""

    deliveries: Deliveries
    codec: Codec
    topics: Topics
    now_ms: Callable[[], int]
    fail: Callable[[Exception], None]


class Pairing:
    """Takes the records of one partition of both topics, one after the other, for as long as we own it."""

    def __init__(self, table: WaitTable, ports: PairingPorts, window_ms: int) -> None:
        self._table = table
        self._ports = ports
        self._window_ms = window_ms
        # Of its own: what an earlier owning of the partition has left undone must not hold this one up.
        self._acknowledgements = Acknowledgements()
        self._remembered = 0
        self._long: set[asyncio.Task[None]] = set()
        self._retired = False

    async def take(self, arrival: Arrival, key: bytes | None, acknowledge: Callable[[], object]) -> None:
        """See the crash order above. Returns when the record is in the table and its commands are on their way."""
        waiting = self._acknowledgements.arrived((arrival.topic, arrival.partition), acknowledge)
        done = partial(self._acknowledgements.done, waiting)
        batches = self._batches(arrival, key)
        first, second = next(batches, None), next(batches, None)
        if second is not None:
            await self._begin_long(chain((first or [], second), batches), done)
        elif first:
            await self._ports.deliveries.send(first, done)
        else:
            done()

    async def deliver(self, settled: Settled, partition: int) -> None:
        """Deliver what a portion of the restore gave."""
        for batch in self._commands([settled.commands]):
            await self._ports.deliveries.deliver(batch)
        for record, reason in settled.unusable:
            topic = self._ports.topics.waits
            arrival = Arrival(topic, partition, record.offset, record.timestamp, record.value, record.headers)
            await self._ports.deliveries.deliver([self._dead_letter(arrival, record.key, reason)])

    def retire(self) -> None:
        """The partition is not ours any more, or is begun anew: what is under way is left to its next owner."""
        self._retired = True
        for task in self._long:
            task.cancel()

    async def _begin_long(self, batches: Iterator[Sequence[Outgoing]], done: Callable[[], None]) -> None:
        """Go on beside the records that follow, when others do not do so already."""
        while len(self._long) >= MAX_LONG:
            await asyncio.wait(self._long, return_when=asyncio.FIRST_COMPLETED)
        if self._retired:
            return
        task = asyncio.create_task(self._deliver_all(batches, done))
        self._long.add(task)
        task.add_done_callback(self._ended)

    async def _deliver_all(self, batches: Iterator[Sequence[Outgoing]], done: Callable[[], None]) -> None:
        ahead = asyncio.Semaphore(BATCHES_AHEAD)
        for batch in batches:
            if batch:
                await ahead.acquire()
                await self._ports.deliveries.send(batch, ahead.release)
            await asyncio.sleep(0)  # others want the loop, too
        for _ in range(BATCHES_AHEAD):
            await ahead.acquire()
        done()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._long.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ports.fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _batches(self, arrival: Arrival, key: bytes | None) -> Iterator[Sequence[Outgoing]]:
        """What to send for the record, little at a time; the table has it before the first."""
        try:
            yield from self._commands(self._pages(arrival, key or b""))
        except UndecodableRecord as error:
            reason = str(error)
        except Unavailable:  # the state's trouble, not the record's: the table is opened anew
            raise
        except Exception as error:  # one record must not stop all others, and must not vanish either
            end_if_out_of_memory(error)
            log.exception("pairing %s/%s@%s failed", arrival.topic, arrival.partition, arrival.offset)
            reason = f"the matcher failed on this record, please report it: {error!r}"
        else:
            return
        yield [self._dead_letter(arrival, key, reason)]

    def _pages(self, arrival: Arrival, key: bytes) -> Iterator[Page]:
        if arrival.topic == self._ports.topics.waits:
            return self._wait(arrival, key)
        return self._event(arrival)

    def _wait(self, arrival: Arrival, key: bytes) -> Iterator[Page]:
        """A record that was restored is only checked: what the topic says of its key by now is in the table."""
        now, value = self._ports.now_ms(), arrival.value
        wait = None if value is None else read_wait(self._ports.codec, key, value)
        if not fits(key):
            raise UndecodableRecord("the key of a wait begins with its correlation")
        if arrival.offset > self._table.waits_offset:
            self._table.fold([(key, value)], arrival.offset, now)
        return iter(()) if wait is None or not self._table.is_pending(key) else self._table.looked_back(wait)

    def _event(self, arrival: Arrival) -> Iterator[Page]:
        value = arrival.value or b""
        event = self._ports.codec.decode_as(CorrelatedEvent, value)
        now = self._ports.now_ms()
        self._table.remember([(event, value)], arrival.offset, now)
        self._remembered += 1
        if self._remembered % FORGET_EVERY == 0:
            self._table.forget(now - self._window_ms, now)
        return self._table.met_by(event)

    def _commands(self, pages: Iterable[Page]) -> Iterator[Sequence[Outgoing]]:
        """Pages as batches of bounded size; an empty page is an empty batch."""
        for page in pages:
            batch: list[ResumeRun] = []
            size = 0
            for command in page:
                if size and size + len(command.event) > BATCH_BYTES:
                    yield to_runs(batch, self._ports.topics, self._ports.codec)
                    batch, size = [], 0
                batch.append(command)
                size += len(command.event)
            yield to_runs(batch, self._ports.topics, self._ports.codec)

    def _dead_letter(self, arrival: Arrival, key: bytes | None, reason: str) -> Outgoing:
        log.warning("%s/%s@%s is a dead letter: %s", arrival.topic, arrival.partition, arrival.offset, reason)
        return dead_letter(arrival, key, reason, self._ports.now_ms(), self._ports.topics, self._ports.codec)
