"""Durations as SDKs write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock.errors import InvalidInput
from penstock.functions.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("1m30s", timedelta(seconds=90)),
        ("300ms", timedelta(milliseconds=300)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("1w2d", timedelta(days=9)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("7us", timedelta(microseconds=7)),
        ("7µs", timedelta(microseconds=7)),
        ("1500ns", timedelta(microseconds=1)),
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
    ],
)
def test_reads_what_sdks_write(text: str, expected: timedelta) -> None:
    """Numbers with units, one after the other, add up."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "s", "-1s", "1y", "1 s", "1s ", "1e3s", "٣s", "1s2", "1..5s", "9" * 100 + "s"]
)
def test_refuses_anything_else_and_shows_how_to_write_it(text: str) -> None:
    """What is no duration is refused with examples."""
    with pytest.raises(InvalidInput, match="write it as"):
        parse_duration(text)


def test_refuses_more_than_ten_years() -> None:
    """A duration that nobody can mean is a typing error."""
    with pytest.raises(InvalidInput, match="ten years"):
        parse_duration("99999w")
