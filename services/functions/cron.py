"""Cron schedules as functions register them: five fields, optionally with a time zone before them; and when they fire.

Fields mean the wall clock of their zone, with daylight saving as people expect it:

- A time that the clock skips fires at the moment it would have had without the change: 02:30 on the day when 02:00
  becomes 03:00 fires at 03:30, once.
- A time that the clock shows twice fires the first time only. But a schedule of every hour goes by the elapsed time,
  or it would be silent for an hour: `*/15 * * * *` fires through the repeated hour as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import InvalidInput
from ..messages.ids import FunctionKey
from .durations import parse_duration

MAX_TEXT = 255
MIN_JITTER_MS = 1000
#: The year 9000: calendars that are computed with end in 9999.
_LAST_MS = 221_845_392_000_000
_ANY_DAY = datetime(2024, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Five cron fields and the zone whose clock they mean."""

    fields: str
    zone: str = "UTC"


def parse_cron(text: str) -> CronSchedule:
    """Read `[TZ=Area/City ]minute hour day month weekday`; `InvalidInput` says what is wrong with it."""
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"a cron schedule has at most {MAX_TEXT} characters, this one {len(text)}")
    zone, words = "UTC", text.split()
    if words and words[0].startswith(("TZ=", "CRON_TZ=")):
        zone = _zone(words.pop(0).partition("=")[2])
    if len(words) != 5:
        raise InvalidInput(
            f"{text!r} has {len(words)} fields; a cron schedule has five: minute hour day month weekday, "
            "after an optional TZ=Area/City"
        )
    # `?` is another way to write `*` in the schedules that SDKs accept.
    fields = " ".join("*" if word == "?" else word for word in words)
    try:
        CronSim(fields, _ANY_DAY)
    except CronSimError as error:
        raise InvalidInput(f"{text!r} is not a cron schedule: {str(error).lower()}") from error
    return CronSchedule(fields, zone)


def next_firing(schedule: CronSchedule, after: int) -> int | None:
    """The first moment behind `after` (ms since 1970) at which the schedule fires; None when there is none."""
    if after > _LAST_MS:
        return None
    after, zone = max(after, 0), ZoneInfo(schedule.zone)
    best: int | None = None
    for wall in _wall_times(schedule, _before(zone, after)):
        moments = _moments(wall, zone)
        if best is not None and min(moments) >= best:
            break
        fires = [moment for moment in _fires(schedule, moments) if moment > after]
        if fires:
            best = min(fires) if best is None else min(best, *fires)
    return best


def latest_firing(schedule: CronSchedule, first: int, until: int) -> int:
    """The last firing up to `until`, given one, `first`; `first` itself when it is the last, or when it is later.

    Looks back from `until` over longer and longer stretches, so that years in between cost little.
    """
    stretch = _MINUTE_MS
    while True:
        start = max(first, until - stretch)
        found = _last_between(schedule, start, until)
        if found is not None or start == first:
            return first if found is None else found
        stretch *= 8


def jitter_ms(function: FunctionKey, cron: str, scheduled_at: int, jitter: str | None) -> int:
    """How much later than scheduled a firing starts its run: at least a second and less than `jitter`; 0 without one.

    Derived, so that every owner says the same.
    """
    bound = longest_jitter_ms(jitter)
    if bound == 0:
        return 0
    digest = hashlib.blake2b(f"{function}\0{cron}\0{scheduled_at}".encode(), digest_size=8).digest()
    return MIN_JITTER_MS + int.from_bytes(digest, "big") % max(bound - MIN_JITTER_MS, 1)


def longest_jitter_ms(jitter: str | None) -> int:
    """The bound that a trigger sets to its jitter."""
    return parse_duration(jitter) // _MILLISECOND if jitter else 0


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, absolute or a folder of zones
        raise InvalidInput(f"{name!r} is not a time zone; name one as Europe/Rome") from error
    return name


def _last_between(schedule: CronSchedule, after: int, until: int) -> int | None:
    found, moment = None, next_firing(schedule, after)
    while moment is not None and moment <= until:
        found, moment = moment, next_firing(schedule, moment)
    return found


def _wall_times(schedule: CronSchedule, start: datetime) -> Iterator[datetime]:
    """Times without a zone that the fields name, behind `start`, in the order of a calendar."""
    return CronSim(schedule.fields, start)


def _before(zone: ZoneInfo, moment: int) -> datetime:
    """A wall-clock time before whatever may come to lie behind the moment, also when the clock was just changed."""
    at = _EPOCH + timedelta(milliseconds=moment)
    offsets = [each.utcoffset() for each in (when.astimezone(zone) for when in (at - _DAY, at, at + _DAY))]
    return at.replace(tzinfo=None) + min(offset for offset in offsets if offset is not None)


def _moments(wall: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Milliseconds since 1970 of a wall-clock time, by the offset before a change of the clock and by that behind.

    They are equal but around a change. The first one is later for a time that is skipped, earlier for one that comes
    twice.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first - _EPOCH) // _MILLISECOND, (second - _EPOCH) // _MILLISECOND


def _fires(schedule: CronSchedule, moments: tuple[int, int]) -> tuple[int, ...]:
    first, second = moments
    return (first, second) if second > first and _is_hourly(schedule.fields) else (first,)


@lru_cache(maxsize=4096)
def _is_hourly(fields: str) -> bool:
    return len(CronSim(fields, _ANY_DAY).hours) == 24
