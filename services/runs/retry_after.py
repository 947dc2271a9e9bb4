"""`retry-after` as apps write it: seconds, an RFC 3339 time or an HTTP date."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MIN_DELAY_MS = 1000
MAX_DELAY_MS = 24 * 3600 * 1000
MAX_TEXT = 100

#: Seven characters at most: anything longer is read as a date.
_SECONDS = re.compile(r"[+-]?[0-9]{1,7}", re.ASCII)


def parse_retry_after(text: str, now_ms: int) -> int | None:
    """The time (ms since 1970) before which not to call again; None when the text says none.

    Never sooner than a second from now and never later than a day, whatever the text says.
    """
    text = text.strip()
    at = now_ms + int(text) * 1000 if len(text) <= 7 and _SECONDS.fullmatch(text) else parse_time(text)
    return None if at is None else min(max(at, now_ms + MIN_DELAY_MS), now_ms + MAX_DELAY_MS)


def parse_time(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO 8601 or HTTP date, UTC when it names no zone; None when it is neither."""
    if len(text) > MAX_TEXT:
        return None
    when = _iso_date(text) or _http_date(text)
    if when is None:
        return None
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def _iso_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
    ):  # what broken dates make the library stumble over
        return None
