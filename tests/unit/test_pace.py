"""So many a second, and no burst."""

from __future__ import annotations

from penstock.pace import Pace


def test_portions_are_spread_evenly() -> None:
    """Each waits for those before it; a rate that changes counts from the next one on."""
    pace = Pace(100)
    assert [pace.wait(pace.portion, 0.0) for _ in range(3)] == [0.0, 0.1, 0.2]
    pace.rate = 1000
    assert (pace.portion, round(pace.wait(100, 0.3), 6), round(pace.wait(100, 0.3), 6)) == (100, 0.0, 0.1)


def test_time_that_was_waited_is_not_caught_up() -> None:
    """After a pause the pace is the same as before it."""
    pace = Pace(10)
    pace.wait(1, 0.0)
    assert pace.wait(1, 100.0) == 0.0
    assert round(pace.wait(1, 100.0), 6) == 0.1


def test_a_slow_rate_starts_one_at_a_time() -> None:
    """Less than ten a second: a portion is one."""
    assert Pace(0.5).portion == 1
    assert Pace(20_000).portion == 500
