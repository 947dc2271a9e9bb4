"""Times as the API writes them."""

from __future__ import annotations

import pytest

from penstock.history.shapes import timestamp


@pytest.mark.parametrize(
    ("millis", "text"),
    [(None, None), (0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_123, "2023-11-14T22:13:20.123Z")],
)
def test_times_are_rfc_3339_in_utc(millis: int | None, text: str | None) -> None:
    """With milliseconds, always three digits; nothing stays null."""
    assert timestamp(millis) == text
