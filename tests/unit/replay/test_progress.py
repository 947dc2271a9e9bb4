"""Counting, and the rate that is shown."""

from __future__ import annotations

from collections import Counter

from penstock.messages.records import ReplayProgress
from penstock.replay.progress import Counts, Tally, day_of
from penstock.replay.table import ReplayState

from .doubles import NOW, replay


def test_counting_goes_on_where_it_was_recorded() -> None:
    """Positions and counts of an earlier life are the beginning of this one."""
    was = ReplayProgress(replay().id, "Running", {"events/0": 4}, NOW, matched=3, started=3, by_day={"2026-01-01": 3})
    tally = Tally(ReplayState(replay(), None, was))
    tally.moved({"events/0": 6}, Counts(2, 2, 0, Counter({"2026-01-02": 2})))
    record = tally.record("Running", NOW)
    assert (record.matched, record.started, record.positions) == (5, 5, {"events/0": 6})
    assert record.by_day == {"2026-01-01": 3, "2026-01-02": 2}


def test_the_rate_follows_what_happens_lately() -> None:
    """Half of a new pace shows within two seconds; a standstill shows as well."""
    tally = Tally(ReplayState(replay()))
    for second in range(1, 4):
        tally.moved({"events/0": second * 100}, Counts())
        tally.measure(float(second))
    assert tally.records_per_second == 100
    tally.measure(13.0)
    assert tally.records_per_second == 0


def test_days_are_those_of_utc() -> None:
    """Whatever the machine's zone."""
    assert day_of(1_788_220_799_999) == "2026-08-31"
    assert day_of(1_788_220_800_000) == "2026-09-01"
