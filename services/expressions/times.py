"""Timestamps and durations as expressions read and write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from ..errors import EvaluationFailed, InvalidInput
from ..functions.durations import parse_duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})")
#: A number this large cannot be seconds (the year 5138): it is milliseconds.
_MILLISECONDS_FROM = 100_000_000_000
_MAX_CHARACTERS = 100


def from_millis(millis: float) -> datetime:
    """The time that lies so many milliseconds after 1970 began (UTC)."""
    try:
        return EPOCH + timedelta(milliseconds=millis)
    except (OverflowError, ValueError) as error:
        raise EvaluationFailed(f"{millis} is no time between the years 1 and 9999") from error


def to_duration(text: str) -> timedelta:
    """`1h30m`, `300ms`, `7d`; unlike a function's settings, an expression may also say `-5s`."""
    try:
        duration = parse_duration(text.removeprefix("-"))
    except InvalidInput as error:
        raise EvaluationFailed(str(error)) from error
    return -duration if text.startswith("-") else duration


def to_timestamp(text: str) -> datetime:
    """An ISO 8601 (RFC 3339) date or time; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text[:_MAX_CHARACTERS].strip())
    except ValueError as error:
        raise EvaluationFailed(f"{text[:_MAX_CHARACTERS]!r} is no date such as 2026-08-01T12:00:00Z") from error
    return _utc(found.replace(tzinfo=UTC) if found.tzinfo is None else found)


def to_date(value: object) -> datetime:
    """What `date(…)` makes of a text or of a number, which is seconds since 1970, or milliseconds when it is large."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return to_timestamp(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_millis(value if abs(value) >= _MILLISECONDS_FROM else value * 1000)
    raise EvaluationFailed("date takes a text or a number")


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise EvaluationFailed("the date lies outside the years 1 to 9999") from error


def to_zone(name: str) -> tzinfo:
    """`Europe/Berlin`, `UTC`, `+02:00`."""
    offset = _OFFSET.fullmatch(name)
    try:
        if offset is None:
            return ZoneInfo(name)
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-ahead if offset[1] == "-" else ahead)
    except Exception as error:  # zoneinfo raises by what the name makes it open
        raise EvaluationFailed(f"{name[:_MAX_CHARACTERS]!r} is no time zone") from error


def timestamp_text(time: datetime) -> str:
    """RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration_text(duration: timedelta) -> str:
    """Seconds, as CEL writes them: `90s`, `0.5s`."""
    return f"{duration.total_seconds():f}".rstrip("0").rstrip(".") + "s"
