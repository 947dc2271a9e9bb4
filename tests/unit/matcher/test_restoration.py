"""A table that is built again, or brought up to date."""

from __future__ import annotations

from penstock.functions.triggering import Conditions
from penstock.matcher.restoration import STALE_MS, Restoration, Source
from penstock.matcher.waits import WaitTable
from penstock.messages.codec import Codec
from penstock.messages.ids import JobId, RunId
from penstock.messages.keys import wait_key
from penstock.messages.records import CorrelatedEvent, Wait
from penstock.state.memory import MemoryStore

from .logs import ListLog

CODEC = Codec()
NOW = 1_788_000_000_000
HOUR = 3_600_000


def wait(run: str) -> Wait:
    return Wait(RunId(run), JobId("J"), "a", "", "", "", "{}", NOW - 9 * HOUR, NOW + HOUR, NOW, ())


def event(number: int, at: int) -> CorrelatedEvent:
    return CorrelatedEvent("a", "", "", f"I{number}", at, "{}")


class Bench:
    """Both topics of a partition, and a table."""

    def __init__(self) -> None:
        self.waits, self.events = ListLog(), ListLog()
        self.table = WaitTable(MemoryStore().open(0), CODEC, Conditions())
        self.read = 0
        self.unusable: list[int] = []

    def register(self, run: str, at: int = NOW, ended: bool = False) -> None:
        one = wait(run)
        self.waits.append(at, wait_key(one).encode(), None if ended else CODEC.encode(one))

    def event(self, at: int) -> None:
        self.events.append(at, b"k", CODEC.encode(event(len(self.events.records), at)))

    def restore(self, waits: int | None = None, events: int | None = None, now: int = NOW) -> list[tuple[str, str]]:
        restoration = Restoration(self.table, CODEC, HOUR)
        portions = list(restoration.portions(Source(self.waits, waits), Source(self.events, events), now))
        self.read = restoration.restored
        self.unusable = [record.offset for portion in portions for record, _ in portion.unusable]
        return [(command.run_id, command.event_id) for portion in portions for command in portion.commands]

    def pending(self) -> set[str]:
        return {command.run_id for page in self.table.met_by(event(0, NOW)) for command in page}


def test_waits_are_restored_to_the_end_and_ended_ones_are_not_back() -> None:
    """Settled ones are not asked about again."""
    bench = Bench()
    for run in "ABC":
        bench.register(run)
    bench.register("B", ended=True)
    bench.event(NOW)
    assert bench.restore(waits=4, events=1) == []
    assert bench.pending() == {"A", "C"}
    assert (bench.table.waits_offset, bench.table.correlations_offset, bench.read) == (3, 0, 4)


def test_waits_that_nobody_settled_look_back() -> None:
    """On events that were handed over before; those behind are still to come. One that has ended is not asked about."""
    bench = Bench()
    bench.waits.batch = 10
    bench.register("A")
    bench.register("B")
    bench.register("C")
    bench.register("C", ended=True)
    bench.event(NOW - 10)
    bench.event(NOW - 5)
    assert bench.restore(waits=1, events=1) == [("B", "I0")]


def test_what_is_in_the_files_is_not_read_again() -> None:
    """Only what came since."""
    bench = Bench()
    bench.register("A")
    bench.event(NOW)
    bench.restore(waits=1, events=1)
    bench.register("B")
    bench.restore(waits=2, events=1)
    assert (bench.read, bench.pending()) == (1, {"A", "B"})


def test_events_are_restored_as_far_back_as_a_wait_may_look() -> None:
    """The window before the first wait that is not settled, however long the matcher was away."""
    bench = Bench()
    bench.event(NOW - 7 * HOUR)
    bench.event(NOW - 5 * HOUR)
    bench.register("A", at=NOW - 5 * HOUR)
    assert bench.restore(waits=0, events=2) == [("A", "I1")]
    again = Bench()
    again.waits, again.events = bench.waits, bench.events
    assert again.restore(waits=1, events=2) == []
    assert not again.table.has_events()


def test_files_that_may_miss_tombstones_are_not_used() -> None:
    """Nor those that are ahead of their topics, which were made anew."""
    bench = Bench()
    bench.register("A")
    bench.restore(waits=1, events=0)
    bench.waits = ListLog()
    bench.register("B")
    bench.restore(waits=1, events=0, now=NOW + STALE_MS + 1)
    assert bench.pending() == {"B"}
    bench.register("C")
    bench.restore(waits=2, events=0)
    bench.waits = ListLog()
    bench.register("D")
    bench.restore(waits=0, events=0)
    assert bench.pending() == {"D"}


def test_what_is_no_wait_is_told_once() -> None:
    """And is not in the table; what was told before is passed over."""
    bench = Bench()
    bench.waits.append(NOW, b"key", b"garbage")
    bench.waits.append(NOW, b"\0e", None)
    bench.register("A")
    bench.restore(waits=0)
    assert (bench.unusable, bench.pending()) == ([0], {"A"})
    bench.restore(waits=3)
    assert bench.unusable == []


def test_correlated_events_that_cannot_be_read_stop_nothing() -> None:
    """They were dead letters when they were handed over."""
    bench = Bench()
    bench.events.append(NOW, b"k", b"garbage")
    bench.event(NOW)
    bench.register("A")
    assert bench.restore(waits=0, events=2) == [("A", "I1")]


def test_a_table_of_other_topics_is_built_again() -> None:
    """Also when the new topic is longer than what was folded of the old; the same topics are only read on."""
    for which in ("waits", "events"):
        bench = Bench()
        bench.register("A")
        bench.event(NOW)
        bench.restore(1, 1)
        other = getattr(bench, which)
        other.id = "made anew"
        bench.waits.records.clear()
        for run in "BC":
            bench.register(run)
        bench.restore(2, 1)
        assert bench.pending() == {"B", "C"}
        assert bench.read == 2
        bench.restore(2, 1)
        assert bench.read == 0
