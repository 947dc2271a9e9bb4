"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.cli.moments import milliseconds, moment
from penstock.errors import InvalidInput

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ""),
        ("2h", "2026-08-31T10:00:00.000Z"),
        ("1h30m", "2026-08-31T10:30:00.000Z"),
        ("7d", "2026-08-24T12:00:00.000Z"),
        ("2026-08-01", "2026-08-01T00:00:00.000Z"),
        ("2026-08-01T12:00:00+02:00", "2026-08-01T10:00:00.000Z"),
    ],
)
def test_absolute_or_so_long_ago(text: str, meant: str) -> None:
    """A time without a zone is in UTC."""
    assert moment(text, NOW, "--from") == meant


@pytest.mark.parametrize("text", ["soon", "2h ago", "2026-13-01", "-1h", "x" * 999])
def test_anything_else_names_the_option(text: str) -> None:
    """And shows how to write it."""
    with pytest.raises(InvalidInput, match=r"--from: .*2026-08-31"):
        moment(text, NOW, "--from")


def test_milliseconds_of_a_moment() -> None:
    """None for none."""
    assert (milliseconds(""), milliseconds("1970-01-01T00:00:01.500Z")) == (0, 1500)
