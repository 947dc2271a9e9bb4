"""Carries out one replay: reads its part of the topics, starts runs at its pace, records how far it is.

Crash order, by `Carrier.run`, portion by portion:
1. read and decode records, select events, make the commands;
2. wait for the pace, and while the executors are behind;
3. send the commands, and wait until all in-sync replicas have them;
4. only now count the portion, and record positions and counts, at most once a second.
Dying anywhere repeats what was not recorded: the commands carry the same run ids, and the second arrival changes
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from confluent_kafka import KafkaException, Message

from ..errors import PenstockError, Unavailable, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from ..functions.table import FunctionTable
from ..kafka.arrivals import arrival_of
from ..kafka.produce import Outgoing
from ..kafka.ranges import Place
from ..messages.codec import Codec
from ..messages.ids import ReplayId, run_partition
from ..messages.incoming import IncomingEvents
from ..messages.records import Event, StartRun
from ..messages.topics import Topics
from ..pace import Pace
from .backlog import Backlog
from .progress import Counts, Tally
from .selection import Selection
from .starts import start
from .table import ReplayRecord, ReplayState

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
RECORD_SECONDS = 1.0
#: After an error, and while held back.
RETRY_SECONDS = 1.0
#: How long the function may be unknown here before the replay fails: its registration may be on its way.
REGISTRY_SECONDS = 10.0


EndStatus = Literal["Completed", "Failed"]


class Registry(Protocol):
    """The function table, kept up to date by `kafka.registry`."""

    @property
    def table(self) -> FunctionTable: ...


class Sender(Protocol):
    """What `kafka.produce` does."""

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Send records together; the future is done when all are acknowledged, or raises `Unavailable`."""


class Replays(Protocol):
    """What is wanted of each replay, and where its progress is recorded: `log.ReplayLog`."""

    def state(self, replay: ReplayId) -> ReplayState | None: ...

    async def write(self, record: ReplayRecord) -> None: ...


class Reader(Protocol):
    """What `ranges.RangeReader` does."""

    @property
    def at_end(self) -> bool: ...

    def next_batch(self, most: int) -> tuple[list[Message], set[Place]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a carrier works with; all of it belongs to one event loop."""

    incoming: IncomingEvents
    registry: Registry
    producer: Sender
    codec: Codec
    topics: Topics
    replays: Replays
    backlog: Backlog
    open_reader: Callable[[dict[Place, int], dict[Place, int]], Reader]
    now: Callable[[], int]


@dataclass(slots=True)
class Portion:
    """Records that are done with together."""

    commands: list[StartRun] = field(default_factory=list)
    positions: dict[Place, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


class Carrier:
    """One replay under way. `run` ends when the replay is at its end, or when nobody wants it to go on."""

    def __init__(self, state: ReplayState, ports: Ports) -> None:
        self._asked = state.asked
        self._ports = ports
        self._tally = Tally(state)
        self._pace = Pace(state.rate)
        self._recorded_at = 0.0

    async def run(self) -> None:
        """See the crash order above. What is unavailable is waited for; what cannot work fails the replay."""
        try:
            while self._wanted():
                try:
                    if await self._read_on():
                        await self._record_end("Completed")
                        return
                except (Unavailable, KafkaException) as error:
                    log.warning("replay %s: %s; trying again", self._asked.id, error)
                    await self._hold_back(str(error))
            await self._record_pause()
        except PenstockError as error:
            await self._record_end("Failed", str(error))
        except Exception as error:
            end_if_out_of_memory(error)
            log.exception("replay %s failed", self._asked.id)
            await self._record_end("Failed", f"a fault in the replayer, please report it: {error!r}")

    async def _read_on(self) -> bool:
        """Go on from the positions in the tally; True when the end is reached."""
        selection = await self._selection()
        if self._full():
            return True
        reader = await asyncio.to_thread(self._ports.open_reader, self._tally.positions, dict(self._asked.ends))
        try:
            while not reader.at_end:
                messages, ended = await asyncio.to_thread(reader.next_batch, BATCH_RECORDS)
                for portion in self._portions(messages, selection):
                    await self._start(portion)
                    if self._full():
                        return True
                    if not self._wanted():
                        return False
                self._tally.moved({place: self._asked.ends[place] for place in ended}, Counts())
                await self._record()
                if not self._wanted():
                    return False
            return True
        finally:
            await asyncio.to_thread(reader.close)

    def _portions(self, messages: Sequence[Message], selection: Selection) -> Iterator[Portion]:
        portion = Portion()
        for message in messages:
            self._take(message, selection, portion)
            if len(portion.commands) >= self._pace.portion or self._full(portion):
                yield portion
                portion = Portion()
        if portion.positions:
            yield portion

    def _take(self, message: Message, selection: Selection, portion: Portion) -> None:
        arrival = arrival_of(message)
        place = f"{arrival.topic.removeprefix(self._ports.topics.prefix)}/{arrival.partition}"
        portion.positions[place] = arrival.offset + 1
        if not selection.in_time(arrival.timestamp):
            return
        try:
            event = self._ports.incoming.decode(arrival, arrival.topic == self._ports.topics.internal_events)
        except UndecodableRecord:  # it is a dead letter since it came
            portion.counts.undecodable += 1
            return
        if selection.wants(event):
            portion.counts.match(arrival.timestamp)
            if not self._asked.dry_run:
                portion.commands.append(self._command(event))

    def _command(self, event: Event) -> StartRun:
        return start(self._asked, event, self._ports.registry.table.offset, self._ports.now())

    async def _start(self, portion: Portion) -> None:
        if portion.commands:
            await self._room(len(portion.commands))
            await self._ports.producer.send_all([self._outgoing(command) for command in portion.commands])
            portion.counts.started = len(portion.commands)
        self._tally.moved(portion.positions, portion.counts)
        await self._record()

    async def _room(self, count: int) -> None:
        while reason := await self._ports.backlog.reason():
            await self._hold_back(reason)
            if not self._wanted():
                break
        self._tally.held_back = ""
        await asyncio.sleep(self._pace.wait(count, time.monotonic()))

    async def _hold_back(self, reason: str) -> None:
        self._tally.held_back = reason
        await self._record_if_possible()
        await asyncio.sleep(RETRY_SECONDS)

    async def _selection(self) -> Selection:
        give_up = time.monotonic() + REGISTRY_SECONDS
        while (function := self._ports.registry.table.function(self._asked.function)) is None:
            if time.monotonic() > give_up:
                raise PenstockError(f"the function {self._asked.function} is not registered any more")
            await asyncio.sleep(0.1)
        return Selection(self._asked, function.config)

    def _outgoing(self, command: StartRun) -> Outgoing:
        topics = self._ports.topics
        return Outgoing(
            topic=topics.run_steps,
            key=command.run_id.encode(),
            value=self._ports.codec.encode(command),
            partition=run_partition(command.run_id, topics.run_partitions),
        )

    def _full(self, portion: Portion | None = None) -> bool:
        """Has the limit been reached, with this portion?"""
        matched = self._tally.counts.matched + (portion.counts.matched if portion else 0)
        return 0 < self._asked.limit <= matched

    def _wanted(self) -> bool:
        """Does anybody want it to go on? The rate may change meanwhile."""
        state = self._ports.replays.state(self._asked.id)
        if state is None or state.wanted != "run":
            return False
        self._pace.rate = state.rate
        return True

    async def _record_pause(self) -> None:
        """Record everything that is done, so that going on repeats nothing."""
        self._tally.held_back = ""
        self._recorded_at = 0.0
        await self._record_if_possible()

    async def _record_if_possible(self) -> None:
        try:
            await self._record()
        except Unavailable as error:
            log.debug("replay %s: %s", self._asked.id, error)

    async def _record(self) -> None:
        now = time.monotonic()
        if now - self._recorded_at >= RECORD_SECONDS:
            self._recorded_at = now
            self._tally.measure(now)
            await self._ports.replays.write(self._tally.record("Running", self._ports.now()))

    async def _record_end(self, status: EndStatus, error: str = "") -> None:
        """The end must be known: without it the last portion would be repeated at the next start."""
        while True:
            try:
                self._tally.held_back = ""
                await self._ports.replays.write(self._tally.record(status, self._ports.now(), error))
            except Unavailable as unavailable:
                log.warning("replay %s: %s; trying again", self._asked.id, unavailable)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
