"""Moments and durations as people read them."""

from __future__ import annotations

import pytest

from penstock.dashboard.times import DAY, HOUR, MINUTE, SECOND, duration, exact, iso, relative

NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0, "now"),
        (-999, "now"),
        (5 * SECOND, "5 s ago"),
        (119 * SECOND, "1 m ago"),
        (3 * HOUR, "3 h ago"),
        (2 * DAY, "2 d ago"),
        (-2 * HOUR, "in 2 h"),
        (40 * DAY, "2026-08-12"),
    ],
)
def test_a_moment_is_told_relatively_until_a_date_says_more(difference: int, words: str) -> None:
    """Ago, ahead, and the date after a month."""
    assert relative(NOW - difference, NOW) == words


@pytest.mark.parametrize(
    ("millis", "words"),
    [
        (-5, "0 ms"),
        (12, "12 ms"),
        (1250, "1.25 s"),
        (12_340, "12.3 s"),
        (3 * MINUTE + 20 * SECOND, "3 m 20 s"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
        (5 * HOUR, "5 h"),
    ],
)
def test_a_duration_has_two_parts_at_most(millis: int, words: str) -> None:
    """Nobody needs the seconds of a day."""
    assert duration(millis) == words


def test_times_of_strangers_are_shown_whatever_they_are() -> None:
    """A time beyond every calendar is no error of the page."""
    assert iso(NOW) == "2026-09-21T14:13:20.000Z"
    assert exact(NOW) == "2026-09-21 14:13:20.000 UTC"
    assert exact(10**18).startswith("9999-12-31")
    assert exact(-(10**18)).startswith("1970-01-01")
