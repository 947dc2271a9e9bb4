"""The matcher: its pure parts over the broker's lists, at least once, dying and beginning again wherever it likes."""

from __future__ import annotations

from penstock.functions.table import FunctionTable
from penstock.functions.triggering import Conditions
from penstock.matcher.correlating import correlate
from penstock.matcher.matching import match
from penstock.matcher.records import to_runs, to_waits
from penstock.matcher.waits import WaitTable
from penstock.messages.codec import Codec
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import CorrelatedEvent, Event, Wait, WaitShape
from penstock.state.memory import MemoryStore

from .broker import Broker


class Matcher:
    """All partitions of all its topics, one record at a time."""

    def __init__(self, broker: Broker, table: FunctionTable, codec: Codec) -> None:
        self._broker = broker
        self._table = table
        self._codec = codec
        self._incoming = IncomingEvents(codec)
        self._conditions = Conditions()
        self._positions: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._shapes: dict[tuple[str, str], WaitShape] = {}
        self._tables = self._new_tables()
        topics = broker.topics
        self._steps = {
            topics.wait_shapes: self._learn,
            topics.events: self._match,
            topics.internal_events: self._match,
            topics.waits: self._wait,
            topics.correlations: self._meet,
        }
        self._places = [
            (spec.name, p) for spec in topics.specs() if spec.name in self._steps for p in range(spec.partitions)
        ]

    def work(self) -> list[tuple[str, int]]:
        """Where a record waits."""
        return [place for place in self._places if self._at(place) < len(self._broker.log(*place))]

    def step(self, place: tuple[str, int]) -> None:
        """Take the next record there."""
        at = self._at(place)
        self._steps[place[0]](place, at)
        self._positions[place] = at + 1

    def commit(self) -> None:
        """The group's offsets are stored."""
        self._committed = dict(self._positions)

    def die(self) -> None:
        """Begin again where the group's offsets stand; the table of waits is built from its topics."""
        topics = self._broker.topics
        rebuilt = {topics.waits, topics.correlations, topics.wait_shapes}
        self._positions = {place: at for place, at in self._committed.items() if place[0] not in rebuilt}
        self._shapes = {}
        self._tables = self._new_tables()

    def _at(self, place: tuple[str, int]) -> int:
        return self._positions.get(place, 0)

    def _new_tables(self) -> list[WaitTable]:
        count = self._broker.topics.wait_partitions
        return [WaitTable(MemoryStore().open(p), self._codec, self._conditions) for p in range(count)]

    def _learn(self, place: tuple[str, int], at: int) -> None:
        """A shape that is new, or reaches further back: what was matched already is correlated by it."""
        shape = self._codec.decode_as(WaitShape, self._broker.log(*place)[at].value or b"")
        self._shapes[shape.event, shape.path] = shape
        topics = self._broker.topics
        for other in self._places:
            if other[0] not in (topics.events, topics.internal_events):
                continue
            for earlier in range(self._at(other)):
                event = self._event(other, earlier)
                if event.name == shape.event and event.received_at >= shape.since:
                    self._broker.send(to_waits(correlate(event, [shape.path]), topics, self._codec))

    def _match(self, place: tuple[str, int], at: int) -> None:
        event, topics = self._event(place, at), self._broker.topics
        self._broker.send(to_runs(match(event, self._table, self._conditions), topics, self._codec))
        paths = [path for name, path in self._shapes if name == event.name]
        self._broker.send(to_waits(correlate(event, paths), topics, self._codec))

    def _event(self, place: tuple[str, int], at: int) -> Event:
        record = self._broker.log(*place)[at]
        internal = place[0] == self._broker.topics.internal_events
        return self._incoming.decode(Arrival(place[0], place[1], at, record.at, record.value), internal)

    def _wait(self, place: tuple[str, int], at: int) -> None:
        record, table = self._broker.log(*place)[at], self._tables[place[1]]
        table.fold([(record.key or b"", record.value)], at, self._broker.now)
        if record.value is not None:
            for page in table.looked_back(self._codec.decode_as(Wait, record.value)):
                self._broker.send(to_runs(page, self._broker.topics, self._codec))

    def _meet(self, place: tuple[str, int], at: int) -> None:
        value, table = self._broker.log(*place)[at].value or b"", self._tables[place[1]]
        event = self._codec.decode_as(CorrelatedEvent, value)
        table.remember([(event, value)], at, self._broker.now)
        for page in table.met_by(event):
            self._broker.send(to_runs(page, self._broker.topics, self._codec))
