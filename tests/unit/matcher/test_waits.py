"""The table of waits and recent events."""

from __future__ import annotations

from dataclasses import replace

from penstock.functions.triggering import Conditions
from penstock.matcher.waits import EVENTS_PER_PAGE, FORGET_AT_MOST, WAITS_PER_PAGE, WaitTable, fits
from penstock.messages.codec import Codec
from penstock.messages.ids import JobId, RunId
from penstock.messages.keys import wait_key
from penstock.messages.records import CorrelatedEvent, Wait
from penstock.state.memory import MemoryStore

CODEC = Codec()
NOW = 1_788_000_000_000


def wait(run: str = "R", value: str = "1", since: int = NOW, condition: str = "") -> Wait:
    return Wait(RunId(run), JobId("J"), "a", "data.x", value, condition, "{}", since, NOW + 1000, NOW, ())


def event(number: int = 0, value: str = "1", at: int = NOW + 5) -> CorrelatedEvent:
    return CorrelatedEvent("a", "data.x", value, f"I{number}", at, f'{{"data": {{"n": {number}}}}}')


class Bench:
    """A table whose offsets count by themselves."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.table = WaitTable(self.store.open(0), CODEC, Conditions())

    def register(self, *waits: Wait) -> None:
        pairs = [(wait_key(one).encode(), CODEC.encode(one)) for one in waits]
        self.table.fold(pairs, self.table.waits_offset + len(pairs), NOW)

    def remember(self, *events: CorrelatedEvent, now: int = NOW) -> None:
        pairs = [(one, CODEC.encode(one)) for one in events]
        self.table.remember(pairs, self.table.correlations_offset + len(pairs), now)

    def met_by(self, one: CorrelatedEvent) -> list[str]:
        return [command.run_id for page in self.table.met_by(one) for command in page]

    def looked_back(self, one: Wait) -> list[str]:
        return [command.event_id for page in self.table.looked_back(one) for command in page]


def test_an_event_meets_every_wait_of_its_value() -> None:
    """And stays met: only the owner removes a wait."""
    bench = Bench()
    bench.register(wait("A"), wait("B"), wait("C", value="2"))
    assert bench.met_by(event()) == ["A", "B"]
    assert bench.met_by(event(1)) == ["A", "B"]
    bench.table.fold([(wait_key(wait("A")).encode(), None)], 3, NOW)
    assert bench.met_by(event(2)) == ["B"]
    assert bench.table.waits_offset == 3


def test_very_many_waits_come_page_by_page() -> None:
    """The caller may pause after each, and sees all of them once."""
    bench = Bench()
    runs = [f"{n:05}" for n in range(2 * WAITS_PER_PAGE + 1)]
    bench.register(*map(wait, runs))
    pages = list(bench.table.met_by(event()))
    assert [len(page) for page in pages] == [WAITS_PER_PAGE, WAITS_PER_PAGE, 1]
    assert [command.run_id for page in pages for command in page] == runs


def test_a_wait_gets_the_earliest_event_that_ends_it() -> None:
    """In the order of reception, whatever the order of arrival; none from before its time."""
    bench = Bench()
    bench.remember(event(2, at=NOW + 20), event(1, at=NOW + 10), event(0, at=NOW - 1))
    assert bench.looked_back(wait()) == ["I1"]
    assert bench.looked_back(wait(since=NOW + 11)) == ["I2"]
    assert bench.looked_back(wait(value="2")) == []
    assert bench.looked_back(wait(condition="async.data.n == 2")) == ["I2"]


def test_many_events_are_looked_at_in_pages() -> None:
    """An event may have megabytes; one that ends the wait is the last that is looked at."""
    bench = Bench()
    bench.remember(*(event(n, at=NOW + n) for n in range(3 * EVENTS_PER_PAGE)))
    wanted = EVENTS_PER_PAGE + 3
    pages = list(bench.table.looked_back(wait(condition=f"async.data.n == {wanted}")))
    assert [len(page) for page in pages] == [0, 1]
    assert pages[1][0].event_id == f"I{wanted}"


def test_old_events_are_forgotten_in_portions() -> None:
    """By the time at which they were taken; what is newer stays."""
    bench = Bench()
    count = FORGET_AT_MOST + 10
    bench.remember(*(event(n, value=str(n)) for n in range(count)), now=NOW)
    bench.remember(event(count, value="last"), now=NOW + 100)
    assert bench.table.forget(NOW, NOW) == 0
    assert bench.table.forget(NOW + 100, NOW + 100) == FORGET_AT_MOST
    assert bench.table.forget(NOW + 100, NOW + 100) == 10
    assert bench.table.forget(NOW + 100, NOW + 100) == 0
    assert bench.table.has_events()
    assert bench.looked_back(wait(value="last")) == [f"I{count}"]
    assert bench.looked_back(wait(value="3")) == []


def test_an_event_that_comes_twice_is_there_once() -> None:
    """Offsets never go back."""
    bench = Bench()
    bench.remember(event(0), event(1))
    bench.table.remember([(event(0), CODEC.encode(event(0)))], 0, NOW)
    assert bench.table.correlations_offset == 1
    assert bench.looked_back(wait()) == ["I0"]


def test_a_reopened_table_knows_where_it_stands() -> None:
    """Both offsets, waits and events."""
    bench = Bench()
    bench.register(wait())
    bench.remember(event())
    bench.table.close()
    again = WaitTable(bench.store.open(0), CODEC, Conditions())
    assert (again.waits_offset, again.correlations_offset) == (0, 0)
    assert again.is_pending(wait_key(wait()).encode())
    assert again.has_events()
    again.clear()
    assert (again.waits_offset, again.correlations_offset, again.has_events()) == (-1, -1, False)


def test_what_is_no_wait_is_passed_over() -> None:
    """A restored table holds whatever lay on the topic."""
    bench = Bench()
    bench.register(wait())
    key = wait_key(replace(wait(), run_id=RunId("0"))).encode()
    bench.table.fold([(key, b"garbage"), (key + b"/", CODEC.encode(event()))], 5, NOW)
    assert bench.met_by(event()) == ["R"]


def test_keys_of_strangers_stay_out_of_the_tables_own() -> None:
    """The table's own begin with a zero byte."""
    assert fits(wait_key(wait()).encode())
    assert not fits(b"\0e")
    assert not fits(b"")
