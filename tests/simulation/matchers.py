"""A matcher's process: everything that is real but Faust, librdkafka and the files, on a loop in the scheduler's hands.

Intake, pairing, lookback, restoration, ownership of wait tables and acknowledgements are the service's own, with their
coroutines. Played here: reading from the group's offsets on, deliveries that land one partition before the other,
threads, an assignment of which a member hears late, and a death between any two of these.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from penstock.errors import Fenced, Unavailable
from penstock.functions.table import FunctionTable
from penstock.kafka.partition_log import LogRecord, PartitionLog
from penstock.kafka.produce import Outgoing
from penstock.matcher.acknowledgements import Place
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.intake import Intake, Ports
from penstock.matcher.lookback import Lookback
from penstock.matcher.ownership import WaitOwnership
from penstock.matcher.pairing import PairingPorts
from penstock.matcher.rereading import Rereader
from penstock.matcher.shapes import ShapeTable
from penstock.messages.codec import Codec
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import WaitShape
from penstock.state.memory import MemoryStore

from .broker import Broker
from .group import Assignment, Group
from .loop import SimulatedLoop

WINDOW_MS = 3600 * 1000
MAX_IN_FLIGHT = 8
NOTHING = Assignment(0, ())

Action = tuple[str, Place]
NOWHERE: Place = ("", 0)


class Registry:
    """The functions' table, which knows all functions from the first moment on."""

    def __init__(self, table: FunctionTable) -> None:
        self.table = table

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        return True

    async def end(self, timeout_seconds: float) -> int:
        return self.table.offset + 1


class BrokersLog:
    """A partition, read by itself; `asked` raises while Kafka is away."""

    def __init__(self, matcher: Matcher, topic: str, partition: int) -> None:
        self._matcher = matcher
        self._stored = matcher.broker.log(topic, partition)
        self._topic = topic

    def topic_id(self) -> str:
        return self._topic

    def bounds(self) -> tuple[int, int]:
        self._matcher.ask_kafka()
        return 0, len(self._stored)

    def offset_at(self, time_ms: int) -> int:
        self._matcher.ask_kafka()
        return next((at for at, record in enumerate(self._stored) if record.at >= time_ms), len(self._stored))

    def read(self, start: int, end: int) -> Iterator[Sequence[LogRecord]]:
        for at in range(start, end, 3):
            self._matcher.ask_kafka()
            records = enumerate(self._stored[at : min(at + 3, end)], at)
            yield [LogRecord(offset, each.at, each.key, each.value) for offset, each in records]

    def close(self) -> None:
        pass


class _Batch:
    """Records sent together, of which some have landed."""

    def __init__(self, future: asyncio.Future[int], left: int) -> None:
        self.future = future
        self.left = left


class Sender:
    """A producer: what is sent to a partition lands there in order, and later than it was sent."""

    def __init__(self, broker: Broker, loop: SimulatedLoop) -> None:
        self.in_flight = 0
        self._broker = broker
        self._loop = loop
        self._queues: dict[Place, deque[tuple[Outgoing, _Batch]]] = defaultdict(deque)

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        batch = _Batch(self._loop.create_future(), len(records))
        for record in records:
            self._queues[record.topic, record.partition or 0].append((record, batch))
        self.in_flight += len(records)
        if not records:
            batch.future.set_result(-1)
        return batch.future

    def waiting(self) -> list[Place]:
        return [place for place, queue in self._queues.items() if queue]

    def land(self, place: Place, most: int) -> None:
        """So many records of a partition are there, and whoever sent them hears of it."""
        queue = self._queues[place]
        for _ in range(min(most, len(queue))):
            record, batch = queue.popleft()
            self._broker.send([record])
            self.in_flight -= 1
            batch.left -= 1
            if not batch.left:
                batch.future.set_result(0)


class Matcher:
    """One process, from its start to its death."""

    def __init__(
        self, broker: Broker, group: Group, machine: MemoryStore, table: FunctionTable, codec: Codec, rng: random.Random
    ) -> None:
        self.broker = broker
        self.machine = machine
        self.assignment = NOTHING
        self.told: Assignment | None = None
        """An assignment of which this member has not heard yet: it goes on with the one that it had."""
        self.refusals = 0
        """So many questions to Kafka stay without an answer."""
        self.slow_at = ""
        """What this process does only when nothing else can be done."""
        self._group = group
        self._codec = codec
        self._rng = rng
        self._positions: dict[Place, int] = {}
        self._acknowledged: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._shapes = broker.log(broker.topics.wait_shapes, 0)
        self._shapes_read = 0
        self._agents: dict[bool, asyncio.Task[None]] = {}
        self.loop = SimulatedLoop(self._now)
        self.sender = Sender(broker, self.loop)
        topics = broker.topics
        self._event_topics = (topics.events, topics.internal_events)
        self._wait_topics = (topics.waits, topics.correlations)
        deliveries = Deliveries(self.sender, MAX_IN_FLIGHT, self._fail)
        shapes = ShapeTable()
        self._lookback = lookback = Lookback(shapes)
        incoming = IncomingEvents(codec)
        self.rereader = Rereader(shapes, lookback, self._open, self, self._now)
        self.waits = WaitOwnership(machine, self._open, group.matched, WINDOW_MS, self._let_go)
        self.intake = Intake(Ports(incoming, Registry(table), deliveries, codec, topics, shapes, lookback))
        self._pairing = PairingPorts(deliveries, codec, topics, self._now, self._fail)
        self._learn(len(self._shapes))
        self.loop.create_task(self.rereader.run(incoming, deliveries, codec, topics))
        self._run()

    def work(self) -> list[Action]:
        """What this process can do next."""
        found = [*self._to_take(), *(("land", place) for place in self.sender.waiting())]
        if self.told is not None:
            found.append(("hear", NOWHERE))
        if self.loop.has_threads():
            found.append(("thread", NOWHERE))
        if self.loop.has_ready():
            found.append(("run", NOWHERE))
        if self._shapes_read < len(self._shapes):
            found.append(("learn", NOWHERE))
        return found

    def do(self, action: Action) -> None:
        """One of them; then everything that can run runs."""
        kind, place = action
        match kind:
            case "take":
                self._take(place)
            case "land":
                self.sender.land(place, self._rng.choice((1, 2, 100)))
            case "hear":
                self._hear()
            case "thread":
                for _ in range(self._rng.choice((1, 2, 8))):
                    if self.loop.has_threads():
                        self.loop.finish_thread()
                        self._run()
            case "learn":
                self._learn(self._rng.choice((1, 100)))
        self._run()

    def commit(self) -> None:
        """Store what is acknowledged; a member of an earlier generation stores nothing."""
        places = self.assignment.places
        noted = self._noted({place: at for place, at in self._acknowledged.items() if place in places})
        try:
            self._group.commit(self.assignment.generation, noted)
        except Fenced:
            return
        self._committed |= {place: at for place, (at, _) in noted.items()}

    def die(self) -> None:
        """Without a word; of what was on its way, some arrives."""
        for place in self.sender.waiting():
            self.sender.land(place, self._rng.choice((0, 1, 100)))
        self.loop.die()
        for partition in self.machine.partitions():
            self.machine.closed(partition)

    def ask_kafka(self) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise Unavailable("Kafka is away")

    def _to_take(self) -> list[Action]:
        """Records of partitions that are read, for agents that have nothing else to do."""
        agents, positions, logs = self._agents, self._positions, self.broker.logs
        waiting = [place for place in self.assignment.places if positions.get(place, 0) < len(logs[place])]
        if not waiting:
            return []
        busy = {is_event for is_event, agent in agents.items() if not agent.done()}
        held = self.waits.held_back(self._wait_topics)
        return [("take", p) for p in waiting if (p[0] in self._event_topics) not in busy and p not in held]

    def _take(self, place: Place) -> None:
        at = self._positions.get(place, 0)
        self._positions[place] = at + 1
        record = self.broker.log(*place)[at]
        arrival = Arrival(place[0], place[1], at, record.at, record.value)
        is_event = place[0] in self._event_topics
        take = self.intake.take if is_event else self.waits.take
        self._agents[is_event] = self.loop.create_task(
            take(arrival, record.key, partial(self._acknowledge, place, at + 1))
        )

    def _acknowledge(self, place: Place, end: int) -> None:
        self._acknowledged[place] = max(self._acknowledged.get(place, 0), end)

    def _hear(self) -> None:
        """Begin where the group's offsets stand, in everything."""
        assert self.told is not None
        self.assignment, self.told = self.told, None
        places = self.assignment.places
        self._positions = {place: self._group.matched.offsets.get(place, 0) for place in places}
        self._acknowledged = {}
        self._committed = dict(self._positions)
        self.loop.call_soon(self._assign, places)

    def _assign(self, places: Sequence[Place]) -> None:
        self.rereader.assign([place for place in places if place[0] in self._event_topics])
        self.waits.assign({p for topic, p in places if topic == self.broker.topics.waits}, self._pairing)

    def _learn(self, most: int) -> None:
        log, start = self._shapes, self._shapes_read
        records = [
            (self._codec.decode_as(WaitShape, record.value or b""), at)
            for at, record in enumerate(log[start : start + most], start)
        ]
        self._shapes_read += len(records)
        self.rereader.learn(records, self._shapes_read - 1)

    async def _let_go(self, places: Mapping[Place, int | None]) -> None:
        moved = {place: offset for place, offset in places.items() if offset is not None}
        if moved:
            self._group.commit(self.assignment.generation, {place: (offset, "") for place, offset in moved.items()})
            self._positions |= moved

    def _noted(self, offsets: Mapping[Place, int]) -> dict[Place, tuple[int, str]]:
        """With the notes of now, as the service's consumer takes them; without one, nothing is stored."""
        notes = {p: self._lookback.note(p) if p[0] in self._event_topics else "" for p in offsets}
        return {place: (offset, note) for place, offset in offsets.items() if (note := notes[place]) is not None}

    async def stored(self, places: Collection[Place]) -> Mapping[Place, tuple[int, str]]:
        self.ask_kafka()
        return await asyncio.to_thread(self._group.matched.noted, places)

    async def note_again(self, places: Collection[Place]) -> None:
        noted = self._noted({place: self._committed[place] for place in places if self._committed.get(place)})
        try:
            await asyncio.to_thread(self._group.commit, self.assignment.generation, noted)
        except Fenced:
            return

    def _run(self) -> None:
        self.loop.run_ready()
        if self.loop.failures:
            raise AssertionError(f"a matcher has failed: {self.loop.failures}")

    def _fail(self, error: Exception) -> None:
        self.loop.failures.append(error)

    def _open(self, topic: str, partition: int) -> PartitionLog:
        return BrokersLog(self, topic, partition)

    def _now(self) -> int:
        return self.broker.now
