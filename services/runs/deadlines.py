"""Until when a step waits, as SDKs say it: a duration or a date."""

from __future__ import annotations

from datetime import timedelta

from ..errors import InvalidInput
from ..functions.durations import parse_duration
from ..messages.topics import DAY_MS
from .errors import error_text
from .retry_after import parse_time

MAX_WAIT_MS = 366 * DAY_MS
YEAR_MS = 365 * DAY_MS

_MILLISECOND = timedelta(milliseconds=1)


class BadDeadline(ValueError):
    """The deadline cannot be kept; `error` is the JSON text that the run ends with."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.error = error_text(name, message)


def deadline(step: str, text: object, now_ms: int) -> int:
    """When `text` is over (ms since 1970); a time that has passed stays in the past. `BadDeadline` otherwise."""
    at = _time(text, now_ms)
    if at is None:
        raise BadDeadline("InvalidTimeout", f"the timeout of {step!r} is no duration or date: {str(text)[:100]!r}")
    if at - now_ms > MAX_WAIT_MS:
        raise BadDeadline("InngestErrTimeoutTooLong", f"the timeout of {step!r}, {text}, is more than 366 days away")
    return at


def moment(text: str, now_ms: int) -> int:
    """The time that a date or a duration from now says (ms since 1970); `InvalidInput` when it is neither."""
    at = parse_time(text) if len(text) >= 10 else None
    if at is not None:
        return at
    millis = -(-parse_duration(text.removeprefix("-")) // _MILLISECOND)
    return now_ms - millis if text.startswith("-") else now_ms + millis


def _time(text: object, now_ms: int) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return moment(text, now_ms)
    except InvalidInput:
        return None
