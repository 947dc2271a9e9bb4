"""Waits and events in any order, with any deaths in between, against a model that keeps everything in lists.

The machine plays Kafka: topics are lists, a matcher is the pure part with a table in memory, a crash forgets what was
not stored. What a wait must get, and what it must not, the model says by looking at all waits and events there ever
were.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import hypothesis.strategies as st
import orjson
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from penstock.functions.triggering import Conditions
from penstock.kafka.partition_log import LogRecord
from penstock.matcher.correlating import correlate
from penstock.matcher.lookback import Lookback, progress_of
from penstock.matcher.rereading import correlated
from penstock.matcher.restoration import Restoration, Source
from penstock.matcher.shapes import ShapeTable
from penstock.matcher.waits import WaitTable
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, run_id
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.keys import correlation_of, correlation_partition, wait_key
from penstock.messages.records import CorrelatedEvent, Event, ResumeRun, Wait, WaitShape
from penstock.state.memory import MemoryStore
from tests.property.effort import examples

CODEC = Codec()
INCOMING = IncomingEvents(CODEC)
START = 1_788_000_000_000
SECOND, WINDOW_MS = 1000, 3_600_000
PARTITIONS = 2
#: What comes first is drawn most: waits and events are to meet.
NAMES, PATHS, VALUES = ("a", "a", "b"), ("data.x", "data.x", "data.y", ""), (1, 1, 2, None)
STEPS = ("match", "learn", "back", "wait", "event")
CONDITIONS = ("", "async.data.y == 1", "async.data.x == event.data.x")


class ListLog:
    """A partition as a list."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def append(self, at: int, key: bytes | None, value: bytes | None) -> None:
        self.records.append(LogRecord(len(self.records), at, key, value))

    def topic_id(self) -> str:
        return ""

    def bounds(self) -> tuple[int, int]:
        return 0, len(self.records)

    def offset_at(self, time_ms: int) -> int:
        return next((record.offset for record in self.records if record.timestamp >= time_ms), len(self.records))

    def read(self, start: int, end: int) -> Generator[Sequence[LogRecord], None, None]:
        for record in self.records[start:end]:
            yield [record]

    def close(self) -> None:
        pass


@dataclass
class Cluster:
    """What survives every death: topics and the offsets that the group has stored."""

    events: list[ListLog] = field(default_factory=lambda: [ListLog() for _ in range(PARTITIONS)])
    waits: list[ListLog] = field(default_factory=lambda: [ListLog() for _ in range(PARTITIONS)])
    correlations: list[ListLog] = field(default_factory=lambda: [ListLog() for _ in range(PARTITIONS)])
    shapes: list[WaitShape] = field(default_factory=list)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    progress: dict[int, int] = field(default_factory=dict)
    """Noted beside the offset of an events partition."""
    resumes: list[ResumeRun] = field(default_factory=list)


class Member:
    """A matcher process: which partitions it has, how far it has read, what it holds in memory and on its disk."""

    def __init__(self, cluster: Cluster, store: MemoryStore, partitions: Sequence[int], now: int) -> None:
        self.cluster = cluster
        self.partitions = partitions
        self.position = dict(cluster.committed)
        self.shape_table = ShapeTable()
        self.lookback = Lookback(self.shape_table)
        self.tables = {p: WaitTable(store.open(p), CODEC, Conditions()) for p in partitions}
        self.learn(now)
        self.lookback.own([("events", p) for p in partitions], now)
        for partition in partitions:
            self.lookback.begin(("events", partition), self.at("events", partition), cluster.progress.get(partition, 0))
            self.restore(partition, now)

    def at(self, topic: str, partition: int) -> int:
        return self.position.get((topic, partition), 0)

    def restore(self, partition: int, now: int) -> None:
        cluster, restoration = self.cluster, Restoration(self.tables[partition], CODEC, WINDOW_MS)
        waits = Source(cluster.waits[partition], cluster.committed.get(("waits", partition)))
        events = Source(cluster.correlations[partition], cluster.committed.get(("correlations", partition)))
        for settled in restoration.portions(waits, events, now):
            cluster.resumes += settled.commands
        cluster.committed["waits", partition] = restoration.waits_end
        self.position["waits", partition] = restoration.waits_end

    def learn(self, now: int) -> None:
        """Read the shapes' topic to its end."""
        known = self.shape_table.offset + 1
        news = enumerate(self.cluster.shapes[known:], known)
        missed = [shape for at, record in news if (shape := self.shape_table.apply(record, at, now)) is not None]
        self.shape_table.offset = len(self.cluster.shapes) - 1
        self.lookback.learned(missed)

    def match(self, partition: int, now: int) -> None:
        """Take one event."""
        log, offset = self.cluster.events[partition], self.at("events", partition)
        if offset >= len(log.records):
            return
        self.lookback.taken(("events", partition), offset)
        event = decoded(log.records[offset], partition)
        self.lookback.matched(("events", partition), event.name, event.received_at)
        self.send(correlate(event, self.shape_table.paths(event.name, event.received_at)), now)
        self.position["events", partition] = offset + 1

    def send(self, events: Sequence[CorrelatedEvent], now: int) -> None:
        for event in events:
            key = correlation_of(event)
            log = self.cluster.correlations[correlation_partition(key, PARTITIONS)]
            log.append(now, key.encode(), CODEC.encode(event))

    def look_back(self, now: int) -> None:
        for reading in self.lookback.readings():
            _, partition = reading.place
            for found in correlated(self.cluster.events[partition], reading, INCOMING, False):
                self.send(found, now)
            self.lookback.done(reading)
        stored = self.lookback.to_store()
        self.lookback.stored(stored)
        self.cluster.progress |= {partition: offset for (_, partition), offset in stored.items()}

    def pair_wait(self, partition: int, now: int) -> None:
        log, offset, table = self.cluster.waits[partition], self.at("waits", partition), self.tables[partition]
        if offset >= len(log.records):
            return
        record = log.records[offset]
        key = record.key or b""
        if offset > table.waits_offset:
            table.fold([(key, record.value)], offset, now)
        if record.value is not None and table.is_pending(key):
            for page in table.looked_back(CODEC.decode_as(Wait, record.value)):
                self.cluster.resumes += page
        self.position["waits", partition] = offset + 1

    def pair_event(self, partition: int, now: int) -> None:
        log, offset = self.cluster.correlations[partition], self.at("correlations", partition)
        if offset >= len(log.records):
            return
        value = log.records[offset].value or b""
        event = CODEC.decode_as(CorrelatedEvent, value)
        self.tables[partition].remember([(event, value)], offset, now)
        if self.at("waits", partition) == len(self.cluster.waits[partition].records):
            # A matcher that lives does not lag by more than the window; one that was dead does, and is drawn.
            self.tables[partition].forget(now - WINDOW_MS, now)
        for page in self.tables[partition].met_by(event):
            self.cluster.resumes += page
        self.position["correlations", partition] = offset + 1

    def commit(self) -> None:
        for (topic, partition), offset in self.position.items():
            if partition in self.partitions:
                self.cluster.committed[topic, partition] = offset
        self.cluster.progress |= {p: progress_of(self.lookback.note(("events", p)) or "") for p in self.partitions}

    def leave(self) -> None:
        for table in self.tables.values():
            table.close()


def decoded(record: LogRecord, partition: int) -> Event:
    return INCOMING.decode(Arrival("events", partition, record.offset, record.timestamp, record.value))


class WaitsAndEvents(RuleBasedStateMachine):
    """Two matchers over two partitions; the model is in `waits` and `events`."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.cluster = Cluster()
        self.stores = [MemoryStore(), MemoryStore()]
        self.assignment: tuple[Sequence[int], Sequence[int]] = ((0, 1), ())
        self.waits: list[tuple[Wait, Event]] = []
        self.ended: set[str] = set()
        self.events: list[Event] = []
        self.shapes: dict[tuple[str, str], WaitShape] = {}
        self.members = self.start_members()

    def start_members(self) -> list[Member]:
        pairs = zip(self.stores, self.assignment, strict=True)
        return [Member(self.cluster, store, partitions, self.now) for store, partitions in pairs]

    @rule(seconds=st.sampled_from([0, 1, 30, 90, 600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(
        name=st.sampled_from(NAMES), x=st.sampled_from(VALUES), y=st.sampled_from(VALUES), partition=st.integers(0, 1)
    )
    def event(self, name: str, x: int | None, y: int | None, partition: int) -> None:
        number = len(self.events)
        self.now += 1
        data = f'{{"x": {x or "null"}, "y": {y or "null"}}}'
        event = Event(name, data, f"e{number}", self.now, internal_id=f"01{number:024d}", received_at=self.now)
        self.events.append(event)
        self.cluster.events[partition].append(self.now, None, CODEC.encode(event))

    @rule(
        name=st.sampled_from(NAMES),
        path=st.sampled_from(PATHS),
        value=st.sampled_from((1, 2)),
        condition=st.sampled_from(CONDITIONS),
        back=st.sampled_from([700, 60, 1, 0]),
        lasts=st.sampled_from([3000, 300, 45, 1]),
        excluded=st.booleans(),
    )
    def register(self, name: str, path: str, value: int, condition: str, back: int, lasts: int, excluded: bool) -> None:
        """As the run's owner does it: the wait and, where needed, its shape."""
        self.now += 1
        since, until = max(self.now - back * SECOND, START), self.now + lasts * SECOND
        run = run_id(FunctionKey("app/f"), str(len(self.waits)), self.now)
        ids = (self.events[-1].internal_id,) if excluded and self.events else ()
        wanted, bound = (str(value) if path else ""), f'{{"data": {{"x": {value}}}}}'
        wait = Wait(run, JobId("w"), name, path, wanted, condition, bound, since, until, self.now, ids)
        self.waits.append((wait, Event(name, bound)))
        self.put(wait, CODEC.encode(wait))
        known = self.shapes.get((name, path))
        if known is None or known.until < until or known.since > since:
            self.shapes[name, path] = WaitShape(name, path, since, until + 60 * SECOND, self.now)
            self.cluster.shapes.append(self.shapes[name, path])

    @rule(
        steps=st.lists(st.sampled_from(STEPS), max_size=3),
        commit=st.booleans(),
        before=st.booleans(),
        after=st.booleans(),
        lapsed=st.booleans(),
        partition=st.integers(0, 1),
    )
    def unknown_shape(
        self, steps: list[str], commit: bool, before: bool, after: bool, lapsed: bool, partition: int
    ) -> None:
        """An event of a name that nobody waits for (any more) is matched, then a wait for it comes; somebody dies."""
        name = f"n{len(self.events)}"
        if lapsed:
            self.register(name, "data.x", 1, "", 0, 1, False)
            self.catch_up(["learn", "back"], False)
            self.time_passes(90)
        self.event(name, 1, 1, partition)
        self.catch_up(["match"], commit)
        if before:
            self.crash_or_move(self.assignment, False)
        self.register(name, "data.x", 1, "", 60 if lapsed else 700, 3000, False)
        self.catch_up(steps, False)
        if after:
            self.crash_or_move(self.assignment[::-1], False)

    @rule(lose=st.booleans(), move=st.booleans(), done=st.booleans(), partition=st.integers(0, 1))
    def wait_that_nobody_settled(self, lose: bool, move: bool, done: bool, partition: int) -> None:
        """An event is correlated and done with; then a wait for it comes, and all die before they have checked it."""
        name = f"k{len(self.events)}"
        self.register(name, "data.x", 1, "", 700, 3000, False)
        self.catch_up(["learn", "back", "wait"], False)
        self.event(name, 1, 1, partition)
        self.catch_up(["match", "event"], True)
        self.register(name, "data.x", 1, "", 60, 3000, False)
        self.catch_up(["wait"] if done else ["learn"], False)
        self.crash_or_move(self.assignment[::-1] if move else self.assignment, lose)

    @precondition(lambda self: self.waits)
    @rule(place=st.integers(0, 10**6))
    def end(self, place: int) -> None:
        """Timed out, cancelled, resumed by another event: the owner removes the wait."""
        wait = self.waits[place % len(self.waits)][0]
        self.ended.add(wait_key(wait))
        self.put(wait, None)

    @precondition(lambda self: self.waits)
    @rule(place=st.integers(0, 10**6))
    def register_again(self, place: int) -> None:
        """A record that arrives twice changes nothing."""
        wait = self.waits[place % len(self.waits)][0]
        if wait_key(wait) not in self.ended:
            self.put(wait, CODEC.encode(wait))

    @precondition(lambda self: self.cluster.correlations[0].records or self.cluster.correlations[1].records)
    @rule(partition=st.integers(0, 1), place=st.integers(0, 10**6))
    def correlate_again(self, partition: int, place: int) -> None:
        """A repeated event that was sent for waits changes nothing."""
        log = self.cluster.correlations[partition]
        if log.records:
            record = log.records[place % len(log.records)]
            log.append(self.now, record.key, record.value)

    @rule(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(1, 3)), min_size=1))
    def work(self, steps: list[tuple[str, int, int]]) -> None:
        """Some of the matchers' work, in any order; what is not drawn lags behind."""
        for step, partition, count in steps:
            for _ in range(count):
                self.do(step, partition)

    @rule(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6), commit=st.booleans())
    def catch_up(self, steps: list[str], commit: bool) -> None:
        """All there is of some of the work; and the group's offsets are stored, or not yet."""
        for step in steps:
            before = None
            while before != (before := self.extent()):
                for partition in range(PARTITIONS):
                    self.do(step, partition)
        for member in self.members if commit else ():
            member.commit()

    @rule(assignment=st.sampled_from([((0, 1), ()), ((0,), (1,)), ((1,), (0,)), ((), (0, 1))]), lose=st.booleans())
    def crash_or_move(self, assignment: tuple[Sequence[int], Sequence[int]], lose: bool) -> None:
        """Both die without a word; others take over, with the files that are left on their disks, or without."""
        for member in self.members:
            member.leave()
        self.assignment = assignment
        self.stores = [MemoryStore(), MemoryStore()] if lose else self.stores
        self.members = self.start_members()

    @rule()
    def all_is_done(self) -> None:
        """When nothing is left to do, every wait has what the model says; at no time anything else."""
        self.drain()
        got: dict[str, set[str]] = {}
        for command in self.cluster.resumes:
            got.setdefault(command.run_id, set()).add(command.event_id)
        for wait, own in self.waits:
            met = {event.internal_id for event in self.events if is_met(wait, own, event)}
            found = got.get(wait.run_id, set())
            assert found <= met, f"{wait} was resumed by {found - met}"
            if met and wait_key(wait) not in self.ended:
                assert found, f"{wait} was not resumed by any of {met}"

    def teardown(self) -> None:
        if hasattr(self, "members"):
            self.all_is_done()

    def drain(self) -> None:
        before = None
        while before != (before := self.extent()):
            for step in STEPS:
                for partition in range(PARTITIONS):
                    self.do(step, partition)

    def do(self, step: str, partition: int) -> None:
        for member in self.members:
            if step == "learn":
                member.learn(self.now)
            elif step == "back":
                member.look_back(self.now)
            elif partition in member.partitions:
                by_step = {"match": member.match, "wait": member.pair_wait, "event": member.pair_event}
                by_step[step](partition, self.now)

    def extent(self) -> tuple[object, ...]:
        positions = [sorted(member.position.items()) for member in self.members]
        lengths = [len(log.records) for log in (*self.cluster.correlations, *self.cluster.waits)]
        return positions, lengths, dict(self.cluster.progress), len(self.cluster.resumes)

    def put(self, wait: Wait, value: bytes | None) -> None:
        key = wait_key(wait)
        self.cluster.waits[correlation_partition(key, PARTITIONS)].append(self.now, key.encode(), value)


def is_met(wait: Wait, own: Event, event: Event) -> bool:
    """The model's answer, by itself: no table, no correlation, no expression."""
    x, y = values(event)
    at_path = {"data.x": x, "data.y": y, "": int(wait.value or 0)}[wait.path]
    holds = {"": True, "async.data.y == 1": y == 1, "async.data.x == event.data.x": x == values(own)[0]}
    return (
        event.name == wait.event
        and wait.since <= event.received_at <= wait.until
        and event.internal_id not in wait.excluded
        and at_path == int(wait.value or 0)
        and holds[wait.condition]
    )


def values(event: Event) -> tuple[int | None, int | None]:
    data = orjson.loads(event.data)
    data = data.get("data", data)
    return data.get("x"), data.get("y")


TestWaitsAndEvents = WaitsAndEvents.TestCase
TestWaitsAndEvents.settings = settings(max_examples=examples(200), stateful_step_count=40, deadline=None)
