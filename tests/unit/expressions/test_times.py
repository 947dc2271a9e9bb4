"""Dates and durations in expressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock.errors import EvaluationFailed
from penstock.expressions.times import (
    duration_text,
    from_millis,
    timestamp_text,
    to_date,
    to_duration,
    to_timestamp,
    to_zone,
)

EIGHT = datetime(2026, 8, 29, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-08-29T08:00:00Z", EIGHT),
        ("2026-08-29T10:00:00+02:00", EIGHT),
        (" 2026-08-29T08:00:00 ", EIGHT),
        ("2026-08-29", datetime(2026, 8, 29, tzinfo=UTC)),
        (EIGHT.timestamp(), EIGHT),
        (EIGHT.timestamp() * 1000, EIGHT),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (EIGHT, EIGHT),
    ],
)
def test_a_date_may_be_written_in_many_ways(value: object, expected: datetime) -> None:
    """ISO 8601 with or without offset, seconds, and milliseconds, which are the larger numbers."""
    assert to_date(value) == expected


@pytest.mark.parametrize("value", ["", "tomorrow", "2026-13-01", True, [], "0001-01-01T00:00:00+14:00", 1e30, -1e30])
def test_what_is_no_date_fails(value: object) -> None:
    """Including times that no calendar of ours reaches."""
    with pytest.raises(EvaluationFailed):
        to_date(value)


def test_a_duration_may_be_negative() -> None:
    """Unlike those in a function's settings."""
    assert to_duration("-1h30m") == -timedelta(minutes=90)
    assert to_duration("300ms") == timedelta(milliseconds=300)


@pytest.mark.parametrize("text", ["", "-", "5", "h", "--5s", "5 s", "9" * 50 + "h"])
def test_what_is_no_duration_fails(text: str) -> None:
    """With a message, not with whatever the parser stumbles over."""
    with pytest.raises(EvaluationFailed):
        to_duration(text)


@pytest.mark.parametrize(
    ("name", "hour"), [("UTC", 8), ("Europe/Berlin", 10), ("+02:30", 10), ("-05:00", 3), ("5:45", 13)]
)
def test_zones_have_names_or_offsets(name: str, hour: int) -> None:
    """As CEL's getters take them."""
    assert EIGHT.astimezone(to_zone(name)).hour == hour


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../../etc/passwd", "/etc/passwd", "+99:00", "\x00"])
def test_what_is_no_zone_fails(name: str) -> None:
    """A zone's name opens no file outside the zone database."""
    with pytest.raises(EvaluationFailed):
        to_zone(name)


def test_times_are_written_as_cel_writes_them() -> None:
    """RFC 3339 in UTC; durations in seconds."""
    assert timestamp_text(EIGHT) == "2026-08-29T08:00:00Z"
    assert to_timestamp(timestamp_text(EIGHT)) == EIGHT
    assert duration_text(timedelta(minutes=1, milliseconds=500)) == "60.5s"
    assert duration_text(timedelta(0)) == "0s"
    assert from_millis(1) == datetime(1970, 1, 1, microsecond=1000, tzinfo=UTC)
