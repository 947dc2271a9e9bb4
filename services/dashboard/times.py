"""Moments and durations in the words people read: `3 m ago`, `1.2 s`. Pure: now is an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
#: Beyond it a moment is told as a date.
LONGEST_RELATIVE_MS = 30 * DAY
LONGEST_FUTURE_MS = 400 * DAY
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"))


def iso(millis: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(_bounded(millis) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(millis: int) -> str:
    """The whole moment, as people write it."""
    return datetime.fromtimestamp(_bounded(millis) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def relative(millis: int, now: int) -> str:
    """How long ago, or how far ahead; a date where that says more."""
    difference = now - millis
    if difference > LONGEST_RELATIVE_MS or -difference > LONGEST_FUTURE_MS:
        return datetime.fromtimestamp(_bounded(millis) / 1000, UTC).strftime("%Y-%m-%d")
    if abs(difference) < SECOND:
        return "now"
    told = coarse(abs(difference))
    return f"{told} ago" if difference > 0 else f"in {told}"


def coarse(millis: int) -> str:
    """A duration in one unit."""
    for size, unit in _UNITS:
        if millis >= size:
            return f"{millis // size} {unit}"
    return "0 s"


def duration(millis: int) -> str:
    """A duration with two significant parts: `12 ms`, `1.25 s`, `3 m 20 s`, `2 d 4 h`."""
    millis = max(millis, 0)
    if millis < SECOND:
        return f"{millis} ms"
    if millis < MINUTE:
        return f"{millis / SECOND:.3g} s" if millis < 10 * SECOND else f"{millis / SECOND:.1f} s"
    for (size, unit), (next_size, next_unit) in pairwise(_UNITS):
        if millis >= size:
            rest = millis % size // next_size
            return f"{millis // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{millis // SECOND} s"


def _bounded(millis: int) -> int:
    """Times come from strangers: what no calendar holds is shown as its last day."""
    return min(max(millis, 0), 253_402_300_799_000)
