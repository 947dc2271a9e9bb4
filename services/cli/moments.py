"""Times as people type them: absolute, or so long ago."""

from __future__ import annotations

from datetime import UTC, datetime

from ..errors import InvalidInput
from ..functions.durations import parse_duration


def moment(text: str, now: datetime, option: str) -> str:
    """RFC 3339 in UTC of `2026-08-31T12:00:00Z`, `2026-08-31` or `2h`; empty stays empty."""
    if not text:
        return ""
    found = _absolute(text) or _ago(text, now)
    if found is None:
        raise InvalidInput(
            f"{option}: {text[:40]!r} is no time; write 2026-08-31T12:00:00Z, 2026-08-31, or 2h for two hours ago"
        )
    return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _absolute(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ago(text: str, now: datetime) -> datetime | None:
    try:
        return now - parse_duration(text)
    except (InvalidInput, OverflowError):
        return None


def milliseconds(text: str) -> int:
    """Milliseconds since 1970 of what `moment` gave; 0 for nothing."""
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0
