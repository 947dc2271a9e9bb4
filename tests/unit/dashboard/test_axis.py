"""The time axis of a run."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penstock.dashboard.axis import LABEL_WIDTH, axis

HOUR = 3_600_000


def test_a_busy_run_is_to_scale() -> None:
    """Half the time is half the width."""
    made = axis(0, 1000, [(0, 1000)])
    assert (made.at(0), made.at(500), made.at(1000)) == (0.0, 50.0, 100.0)
    assert made.folds == ()
    assert [tick.label for tick in made.ticks] == ["0", "200 ms", "400 ms", "600 ms", "800 ms"]


def test_a_long_sleep_is_folded() -> None:
    """Six hours of sleep between two seconds of work do not hide the work."""
    made = axis(0, 6 * HOUR, [(0, 1000), (6 * HOUR - 1000, 6 * HOUR)])
    (fold,) = made.folds
    assert fold.label == "5 h 59 m"
    assert made.at(1000) > 40
    assert made.at(6 * HOUR - 1000) < 60


def test_a_run_that_only_sleeps_is_to_scale() -> None:
    """There is nothing that the sleep could hide."""
    made = axis(0, HOUR, [])
    assert made.folds == ()
    assert made.at(HOUR // 2) == 50.0


@given(
    st.integers(0, 10**13),
    st.integers(0, 10**11),
    st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**9)), max_size=8),
)
def test_order_is_kept_and_everything_is_on_it(start: int, length: int, works: list[tuple[int, int]]) -> None:
    """Whatever the run did: later is further right, from edge to edge, and no labels touch."""
    busy = [(start + at, start + at + took) for at, took in works if at + took <= length]
    made = axis(start, start + length, busy)
    moments = sorted({start, start + length, *(edge for interval in busy for edge in interval)})
    places = [made.at(moment) for moment in moments]
    assert all(a <= b + 1e-9 for a, b in pairwise(places))
    assert all(0.0 <= place <= 100.0 for place in places)
    assert all(b.at - a.at >= LABEL_WIDTH for a, b in pairwise(made.ticks))
