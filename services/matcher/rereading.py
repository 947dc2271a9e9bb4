"""The lookback at work: reads partitions again, correlates what it finds, and has stored how far that has come.

Reading and decoding happen in a thread, delivery on the event loop. Crash order: read → send → all delivered → the
progress is stored. Dying before the last reads again; a second correlation of an event changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from ..errors import Unavailable, UndecodableRecord
from ..kafka.partition_log import LogRecord, PartitionLog
from ..messages.codec import SINGLE_OBJECT, Codec
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.records import CorrelatedEvent, WaitShape
from ..messages.topics import Topics
from .acknowledgements import Place
from .correlating import correlate
from .deliveries import Deliveries
from .lookback import Lookback, Reading, Wanted, progress_of
from .records import to_waits
from .shapes import ShapeTable

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
#: Up to so many names, searching a record's bytes for them is cheaper than decoding it.
SEARCHED_NAMES = 30


class Offsets(Protocol):
    """Offsets that a group has stored; every method blocks, and raises `Unavailable`."""

    def read(self, places: Sequence[Place]) -> dict[Place, int]: ...


class Group(Protocol):
    """The matchers' consumer group, as we see it who are in it. `Unavailable` while Kafka does not answer."""

    async def stored(self, places: Collection[Place]) -> Mapping[Place, tuple[int, str]]:
        """The offsets that are stored, each with the note beside it."""
        ...

    async def note_again(self, places: Collection[Place]) -> None:
        """Store these offsets once more, with the notes of now; not if the group has gone on without us."""
        ...


class Rereader:
    """Keeps the lookback of all our event partitions up to date, one reading at a time."""

    def __init__(
        self,
        shapes: ShapeTable,
        lookback: Lookback,
        open_log: Callable[[str, int], PartitionLog],
        group: Group,
        now_ms: Callable[[], int],
    ) -> None:
        """In the group's offsets stands what has been matched, with the progress noted beside them."""
        self._shapes = shapes
        self._lookback = lookback
        self._open_log = open_log
        self._group = group
        self._now_ms = now_ms
        self._assigned: tuple[Place, ...] = ()
        self._begun: tuple[Place, ...] = ()
        self._wake = asyncio.Event()

    def learn(self, records: Sequence[tuple[WaitShape, int]], offset: int) -> None:
        """Shapes have been read from their topic, up to `offset`."""
        now = self._now_ms()
        missed = [shape for record, at in records if (shape := self._shapes.apply(record, at, now)) is not None]
        self._shapes.offset = max(self._shapes.offset, offset)
        self._lookback.learned(missed)
        self._wake.set()

    def assign(self, places: Sequence[Place]) -> None:
        """These partitions, and no others, are ours from now on; before anything of them is taken."""
        self._assigned = tuple(places)
        self._begun = ()
        self._lookback.own(places, self._now_ms())
        self._wake.set()

    async def run(self, incoming: IncomingEvents, deliveries: Deliveries, codec: Codec, topics: Topics) -> None:
        """Read whatever must be read, until cancelled; waits as long as Kafka is away."""
        while True:
            try:
                await self._begin()
                complete = True
                for reading in self._lookback.readings():
                    if self._is_outdated():
                        break
                    complete &= await self._tried(reading, incoming, deliveries, codec, topics)
                if changed := self._lookback.to_store():
                    await self._group.note_again(changed)
                    self._lookback.stored(changed)
            except Unavailable as error:
                log.warning("looking back waits: %s", error)
                complete = False
            if complete:
                await self._wake.wait()
                self._wake.clear()
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> None:
        """Find out how far others have come with partitions that are ours now."""
        places = self._assigned
        if places == self._begun or not places:
            return
        matched = await self._group.stored(places)
        if places is not self._assigned:
            self._wake.set()
            return
        self._begun = places
        for place in places:
            offset, note = matched.get(place, (0, ""))
            self._lookback.begin(place, offset, progress_of(note))

    def _is_outdated(self) -> bool:
        """Another assignment came: until it has begun nothing of it is committed, and what is being read is in vain."""
        return self._begun != self._assigned

    async def _tried(
        self, reading: Reading, incoming: IncomingEvents, deliveries: Deliveries, codec: Codec, topics: Topics
    ) -> bool:
        """True when it is read; a partition that is away does not hold back the others."""
        try:
            await self._read(reading, incoming, deliveries, codec, topics)
        except Unavailable as error:
            log.warning("looking back in %s/%s waits: %s", *reading.place, error)
            return False
        return True

    async def _read(
        self, reading: Reading, incoming: IncomingEvents, deliveries: Deliveries, codec: Codec, topics: Topics
    ) -> None:
        topic, partition = reading.place
        internal = topic == topics.internal_events
        count = 0
        try:
            with (
                closing(self._open_log(topic, partition)) as events,
                closing(correlated(events, reading, incoming, internal)) as found,
            ):
                while (batch := await _whole(asyncio.to_thread(next, found, None))) is not None:
                    count += len(batch)
                    await deliveries.deliver(to_waits(batch, topics, codec))
                    if self._is_outdated():
                        return
        except BaseException:
            self._lookback.failed(reading)
            raise
        log.debug("looked back in %s/%s: %s events", topic, partition, count)
        self._lookback.done(reading)


async def _whole(work: Coroutine[None, None, list[CorrelatedEvent] | None]) -> list[CorrelatedEvent] | None:
    """Wait for what a thread does also when we are cancelled: what it uses is closed afterwards."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def correlated(
    events: PartitionLog, reading: Reading, incoming: IncomingEvents, internal: bool
) -> Generator[list[CorrelatedEvent], None, None]:
    """The events that the reading asks for, under their correlations, in batches that may be empty.

    A partition that has lost its tail ends before what was matched of it.
    """
    begin, end = events.bounds()
    start = max(events.offset_at(reading.since), begin)
    names = [name.encode() for name in reading.wanted] if len(reading.wanted) <= SEARCHED_NAMES else []
    for records in events.read(start, min(reading.end, end)):
        batch: list[CorrelatedEvent] = []
        for record in records:
            if not _is_other(record, names):
                batch += _wanted(record, reading, incoming, internal)
        yield batch


def _is_other(record: LogRecord, names: Sequence[bytes]) -> bool:
    """True for what is surely no event of these names: in our own encoding a name stands as it is."""
    value = record.value or b""
    return bool(names) and value[:2] == SINGLE_OBJECT and not any(name in value for name in names)


def _wanted(record: LogRecord, reading: Reading, incoming: IncomingEvents, internal: bool) -> Sequence[CorrelatedEvent]:
    topic, partition = reading.place
    arrival = Arrival(topic, partition, record.offset, record.timestamp, record.value, record.headers)
    try:
        event = incoming.decode(arrival, internal)
    except UndecodableRecord:  # has been, or will be, a dead letter when it is matched
        return ()
    return correlate(event, _paths(reading.wanted, event.name, event.received_at))


def _paths(wanted: Wanted, name: str, received_at: int) -> list[str]:
    return [path for path, since in wanted.get(name, {}).items() if received_at >= since]
