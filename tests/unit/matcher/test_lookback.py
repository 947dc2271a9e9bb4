"""Which partitions are read again, how far, and what is known to be done."""

from __future__ import annotations

from penstock.matcher.lookback import UNKNOWN_MS, Lookback, noted, progress_of
from penstock.matcher.shapes import MARGIN_MS, ShapeTable
from penstock.messages.records import WaitShape

NOW = 1_788_000_000_000
ONE, TWO = ("events", 0), ("events", 1)


class Bench:
    """A lookback that owns two partitions, with its shapes in the test's hands."""

    def __init__(self, progress: int = 0, begun: bool = True) -> None:
        self.shapes = ShapeTable()
        self.lookback = Lookback(self.shapes)
        self.lookback.own((ONE, TWO), NOW - UNKNOWN_MS - MARGIN_MS)
        for place in (ONE, TWO) if begun else ():
            self.lookback.begin(place, 0, progress)

    def take(self, offset: int, name: str = "a", at: int = NOW) -> None:
        self.lookback.taken(ONE, offset)
        self.lookback.matched(ONE, name, at)

    def learn(self, name: str = "a", since: int = NOW, path: str = "data.x") -> None:
        self.shapes.offset += 1
        missed = self.shapes.apply(WaitShape(name, path, since, NOW + 10**6, NOW), self.shapes.offset, NOW)
        self.lookback.learned([missed] if missed else [])


def test_only_partitions_that_had_the_name_are_read() -> None:
    """Up to where they were matched when the reading began; the others are done at once."""
    bench = Bench()
    bench.take(4)
    bench.learn()
    (reading,) = bench.lookback.readings()
    assert (reading.place, reading.since, reading.end, reading.progress) == (ONE, NOW - MARGIN_MS, 5, 1)
    assert reading.wanted == {"a": {"data.x": NOW - MARGIN_MS}}
    assert bench.lookback.to_store() == {TWO: 1}


def test_a_name_that_was_not_seen_is_not_looked_for() -> None:
    """Names made up for one wait each cost no reading."""
    bench = Bench()
    bench.take(0, "b")
    bench.learn("made-up-1")
    assert list(bench.lookback.readings()) == []
    assert bench.lookback.to_store() == {ONE: 1, TWO: 1}


def test_shapes_that_come_together_are_read_together() -> None:
    """One reading from the earliest time, each name and path from its own."""
    bench = Bench()
    bench.take(0)
    bench.take(1, "b")
    bench.learn("a", NOW - 5000)
    bench.learn("b", NOW - 1000, "")
    (reading,) = bench.lookback.readings()
    assert reading.since == NOW - 5000 - MARGIN_MS
    assert reading.wanted["b"] == {"": NOW - 1000 - MARGIN_MS}
    assert reading.progress == 2


def test_progress_waits_for_the_delivery() -> None:
    """And a shape that comes during a reading is the next one's."""
    bench = Bench()
    bench.take(0)
    bench.learn()
    (reading,) = bench.lookback.readings()
    bench.learn(path="data.y")
    assert list(bench.lookback.readings()) == []
    assert ONE not in bench.lookback.to_store()
    bench.lookback.done(reading)
    assert bench.lookback.to_store()[ONE] == 1
    (second,) = bench.lookback.readings()
    assert second.wanted == {"a": {"data.y": NOW - MARGIN_MS}}


def test_a_reading_that_broke_off_is_done_again() -> None:
    """With the same shapes, and as far as the partition is matched by then."""
    bench = Bench()
    bench.take(0)
    bench.learn()
    (reading,) = bench.lookback.readings()
    bench.lookback.failed(reading)
    bench.take(1)
    (again,) = bench.lookback.readings()
    assert (again.wanted, again.end, again.since) == (reading.wanted, 2, reading.since)


def test_a_new_owner_begins_with_the_shapes_behind_the_stored_progress() -> None:
    """Whatever names it has not seen itself."""
    bench = Bench(begun=False)
    bench.learn("a")
    bench.learn("b")
    assert list(bench.lookback.readings()) == []
    bench.lookback.own((ONE,), NOW)
    bench.lookback.begin(ONE, 30, 1)
    (reading,) = bench.lookback.readings()
    assert (reading.end, set(reading.wanted)) == (30, {"b"})


def test_progress_beyond_the_shapes_that_we_know_is_taken_back() -> None:
    """What we match meanwhile lacks them: whoever comes after us, should we die, must look back for them again."""
    bench = Bench(begun=False)
    bench.learn("a")
    bench.lookback.own((ONE,), NOW)
    bench.lookback.begin(ONE, 30, 2)
    assert list(bench.lookback.readings()) == []
    assert bench.lookback.to_store() == {ONE: 1}
    bench.lookback.stored({ONE: 1})
    assert bench.lookback.to_store() == {}
    bench.take(30, "b")
    bench.learn("b")
    (reading,) = bench.lookback.readings()
    assert (reading.end, set(reading.wanted)) == (31, {"b"})
    bench.lookback.done(reading)
    assert bench.lookback.to_store() == {ONE: 2}


def test_a_partition_in_which_nothing_was_matched_is_not_read() -> None:
    """All its events are still to be matched, with the shape."""
    bench = Bench()
    bench.learn(since=NOW - 10 * UNKNOWN_MS)
    assert list(bench.lookback.readings()) == []
    assert bench.lookback.to_store() == {ONE: 1, TWO: 1}


def test_a_reading_of_an_earlier_owning_counts_for_nothing() -> None:
    """Somebody else may have matched more since."""
    bench = Bench()
    bench.take(0)
    bench.learn()
    (reading,) = bench.lookback.readings()
    bench.lookback.own((ONE,), NOW)
    bench.lookback.begin(ONE, 5, 0)
    (later,) = bench.lookback.readings()
    bench.lookback.done(reading)
    assert bench.lookback.to_store() == {}
    bench.lookback.done(later)
    assert bench.lookback.to_store() == {ONE: 1}


def test_what_is_matched_before_the_progress_is_known_lacks_what_came_meanwhile() -> None:
    """A shape that came between the first record and the answer of Kafka is looked back for, and not noted before."""
    bench = Bench(begun=False)
    bench.take(0)
    bench.learn("a")
    bench.lookback.begin(ONE, 0, 9)
    assert bench.lookback.note(ONE) == noted(0)
    (reading,) = bench.lookback.readings()
    assert (reading.end, set(reading.wanted)) == (1, {"a"})
    bench.lookback.done(reading)
    assert bench.lookback.note(ONE) == noted(1)


def test_without_knowledge_there_is_no_note() -> None:
    """Neither of a partition of which nothing is known yet nor of one that is not ours."""
    bench = Bench(begun=False)
    bench.lookback.begin(ONE, 0, 0)
    assert [bench.lookback.note(place) for place in (ONE, TWO, ("events", 2))] == [noted(0), None, None]


def test_of_a_note_that_is_not_ours_nothing_is_known() -> None:
    """Tools that set a group's offsets leave it empty: all shapes are looked back for."""
    assert progress_of(noted(123)) == 123
    assert [progress_of(note) for note in ("", "wait-shapes", "wait-shapes -1", "wait-shapes 1" + "0" * 18)] == [0] * 4
