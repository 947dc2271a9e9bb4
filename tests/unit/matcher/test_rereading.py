"""The lookback at work: partitions are read again, and how far that has come is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence

import pytest

from penstock.errors import Unavailable
from penstock.kafka.partition_log import LogRecord
from penstock.matcher import rereading as module
from penstock.matcher.acknowledgements import Place
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.lookback import Lookback, Reading, noted, progress_of
from penstock.matcher.rereading import Rereader, correlated
from penstock.matcher.shapes import ShapeTable
from penstock.messages.incoming import IncomingEvents
from penstock.messages.records import CorrelatedEvent, Event, WaitShape
from penstock.messages.topics import Topics

from .logs import ListLog, StoredOffsets
from .outbox import CODEC, Outbox

NOW = 1_788_000_000_000
TOPICS = Topics("p.")
PLACE = (TOPICS.events, 0)
OTHER = (TOPICS.events, 1)


def event(log: ListLog, number: int, name: str = "a", at: int = NOW) -> None:
    one = Event(name, f'{{"x": {number}}}', f"e{number}", at, internal_id=f"01{number:024d}", received_at=at)
    log.append(at, None, CODEC.encode(one))


def found(log: ListLog, reading: Reading) -> list[tuple[str, str]]:
    batches = correlated(log, reading, IncomingEvents(CODEC), False)
    return [(one.path, one.value) for batch in batches for one in batch]


class Bench:
    """A rereader over one partition that somebody has matched."""

    def __init__(self, matched: int) -> None:
        self.log: ListLog = ListLog()
        self.logs: dict[int, ListLog] = {}
        self.outbox = Outbox(at_once=True)
        self.matched = StoredOffsets()
        self.matched.offsets[PLACE] = matched
        shapes = ShapeTable()
        self.lookback = Lookback(shapes)
        self.rereader = Rereader(
            shapes,
            self.lookback,
            lambda _topic, number: self.logs.get(number, self.log),
            self,
            lambda: NOW,
        )

    async def stored(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        return self.matched.noted(places)

    async def note_again(self, places: Collection[Place]) -> None:
        self.matched.notes |= {place: note for place in places if (note := self.lookback.note(place)) is not None}

    def progress(self) -> dict[Place, int]:
        return {place: progress_of(note) for place, note in self.matched.notes.items()}

    async def run(self, until: Callable[[], bool]) -> None:
        deliveries = Deliveries(self.outbox, 100, lambda error: None)
        running = asyncio.create_task(self.rereader.run(IncomingEvents(CODEC), deliveries, CODEC, TOPICS))
        try:
            for _ in range(10_000):
                if until():
                    return
                await asyncio.sleep(0.001)
            raise AssertionError("not within ten seconds")
        finally:
            running.cancel()
            await asyncio.wait([running])

    def values(self) -> list[str]:
        return [one.value for one in self.outbox.records() if isinstance(one, CorrelatedEvent)]


def shape(name: str = "a", path: str = "data.x") -> WaitShape:
    return WaitShape(name, path, NOW, NOW + 10**6, NOW)


def test_events_of_the_names_and_times_that_are_wanted_are_correlated() -> None:
    """Up to the end of the reading, by each path from its own time."""
    log = ListLog()
    event(log, 1, at=NOW - 10)
    event(log, 2)
    event(log, 3, "b")
    event(log, 4)
    event(log, 5)
    log.records[4:4] = []
    wanted = {"a": {"data.x": NOW, "": NOW - 10}}
    assert found(log, Reading(PLACE, NOW - 10, 4, wanted, 1)) == [
        ("", ""),
        ("data.x", "2"),
        ("", ""),
        ("data.x", "4"),
        ("", ""),
    ]


def test_events_of_other_encodings_are_found_and_garbage_is_passed_over() -> None:
    """Also a name that JSON spells in its own way; what cannot be read was a dead letter when it was matched."""
    log = ListLog()
    log.append(NOW, None, b'{"name": "\\u0061", "data": {"x": 9}}')
    log.append(NOW, None, b"garbage")
    log.append(NOW, None, None)
    assert found(log, Reading(PLACE, NOW, 3, {"a": {"data.x": NOW}}, 1)) == [("data.x", "9")]


def test_many_names_at_once() -> None:
    """Beyond a few, every event is decoded."""
    log = ListLog()
    event(log, 1)
    event(log, 2, "z")
    wanted = {f"n{n}": {"data.x": NOW} for n in range(100)} | {"a": {"data.x": NOW}}
    assert found(log, Reading(PLACE, NOW, 2, wanted, 1)) == [("data.x", "1")]


async def test_a_shape_that_came_while_nobody_was_there_is_looked_back_for() -> None:
    """Up to where others had matched; then, and not before, the progress is stored."""
    bench = Bench(matched=2)
    for number in range(3):
        event(bench.log, number)
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE])
    await bench.run(lambda: bench.progress() == {PLACE: 1})
    assert bench.values() == ["0", "1"]
    assert bench.log.closed == 1


async def test_a_shape_that_comes_later_wakes_it() -> None:
    """One that was looked back for already does not."""
    bench = Bench(matched=1)
    bench.matched.notes[PLACE] = noted(1)
    event(bench.log, 0)
    bench.rereader.learn([(shape(path="data.y"), 0)], 0)
    bench.rereader.assign([PLACE])
    asyncio.get_running_loop().call_later(0.05, bench.rereader.learn, [(shape(), 1)], 1)
    await bench.run(lambda: bench.progress() == {PLACE: 2})
    assert bench.values() == ["0"]


async def test_a_reading_that_breaks_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before is sent again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    bench = Bench(matched=3)
    for number in range(3):
        event(bench.log, number)
    bench.log.fail_at = 2
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE])
    await bench.run(lambda: bench.progress() == {PLACE: 1})
    assert bench.values() == ["0", "1", "0", "1", "2"]
    assert bench.log.closed == 2


class AwayLog(ListLog):
    """A partition whose leader is away for the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def bounds(self) -> tuple[int, int]:
        if self.times:
            self.times -= 1
            raise Unavailable("away")
        return super().bounds()


async def test_a_partition_that_is_away_does_not_hold_back_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read, and their progress is stored, while it is tried again until it is there."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    bench = Bench(matched=1)
    away = bench.log = AwayLog(times=1_000_000)
    bench.logs[1] = ListLog()
    bench.matched.offsets[OTHER] = 1
    event(away, 1)
    event(bench.logs[1], 2)
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE, OTHER])
    await bench.run(lambda: bench.progress() == {OTHER: 1})
    assert bench.values() == ["2"]
    away.times = 2
    await bench.run(lambda: bench.progress() == {PLACE: 1, OTHER: 1})
    assert bench.values() == ["2", "1"]


async def test_a_partition_that_lost_its_tail_is_read_to_its_end() -> None:
    """More of it was matched than there is now: that cannot be waited for."""

    class Strict(ListLog):
        def read(self, start: int, end: int) -> Iterator[Sequence[LogRecord]]:
            if end > len(self.records):
                raise Unavailable("does not come to its end")
            return super().read(start, end)

    bench = Bench(matched=9)
    bench.log = Strict()
    event(bench.log, 0)
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE])
    await bench.run(lambda: bench.progress() == {PLACE: 1})
    assert bench.values() == ["0"]


async def test_progress_is_stored_only_when_everything_has_arrived() -> None:
    """Whoever dies while events are on their way leaves the whole reading to the next owner."""
    bench = Bench(matched=3)
    bench.outbox.at_once = False
    for number in range(3):
        event(bench.log, number)
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE])
    seen: list[tuple[int, dict[Place, int]]] = []

    def one_by_one() -> bool:
        seen.append((len(bench.outbox.sent), bench.progress()))
        if bench.outbox.sent and not bench.outbox.sent[-1][1].done():
            bench.outbox.sent[-1][1].set_result(0)
        return bool(bench.progress())

    await bench.run(one_by_one)
    assert {sent for sent, _ in seen} >= {1, 2, 3}
    assert [progress for _, progress in seen[:-1]] == [{}] * (len(seen) - 1)
    assert seen[-1] == (3, {PLACE: 1})
    assert bench.values() == ["0", "1", "2"]


async def test_a_new_assignment_does_not_wait_for_a_reading_of_the_one_before() -> None:
    """Until it has begun, nothing of it is committed; what is left to read is read for nobody."""
    bench = Bench(matched=3)
    for number in range(3):
        event(bench.log, number)
    bench.rereader.learn([(shape(), 0)], 0)
    bench.rereader.assign([PLACE])
    bench.outbox.at_once = False
    again: list[bool] = []

    def moved() -> bool:
        if bench.outbox.sent and not again:
            again.append(True)
            bench.matched.offsets[PLACE] = 0
            bench.rereader.assign([PLACE])
            bench.outbox.at_once = True
            bench.outbox.sent[-1][1].set_result(0)
        return bool(again) and bench.progress() == {PLACE: 1}

    await bench.run(moved)
    assert bench.values() == ["0"]
