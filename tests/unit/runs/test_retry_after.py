"""`retry-after` in its three spellings, and its bounds."""

from __future__ import annotations

import pytest

from penstock.runs.retry_after import MAX_DELAY_MS, MIN_DELAY_MS, parse_retry_after, parse_time

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("30", 30_000),
        (" 7 ", 7_000),
        ("2026-09-21T14:14:20Z", 60_000),
        ("2026-09-21T14:14:20.250Z", 60_250),
        ("2026-09-21T14:14:20.123456789Z", 60_123),
        ("2026-09-21T16:14:20+02:00", 60_000),
        ("2026-09-21T14:14:20", 60_000),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60_000),
        ("Monday, 21-Sep-26 14:14:20 GMT", 60_000),
    ],
)
def test_seconds_rfc3339_and_http_dates_are_read(text: str, delay: int) -> None:
    """A date without a zone is UTC."""
    assert parse_retry_after(text, NOW) == NOW + delay


@pytest.mark.parametrize("text", ["0", "-5", "2020-01-01T00:00:00Z"])
def test_never_sooner_than_a_second(text: str) -> None:
    """Zero, negative and past times wait a second."""
    assert parse_retry_after(text, NOW) == NOW + MIN_DELAY_MS


@pytest.mark.parametrize("text", ["9999999", "2199-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_never_later_than_a_day(text: str) -> None:
    """An app cannot park a run for ever."""
    assert parse_retry_after(text, NOW) == NOW + MAX_DELAY_MS


@pytest.mark.parametrize("text", ["", "soon", "1.5", "12345678", "１２", "Mon, 99 Foo 2026", "0" * 200, "2026-13-01"])
def test_anything_else_says_nothing(text: str) -> None:
    """The back-off table is used then."""
    assert parse_retry_after(text, NOW) is None


def test_dates_before_1970_are_negative_times() -> None:
    """Times are milliseconds since 1970, on either side."""
    assert parse_time("1969-12-31T23:59:59Z") == -1000
