"""Cron schedules as functions register them: five fields, optionally with a time zone before them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import InvalidInput

MAX_TEXT = 255
_ANY_DAY = datetime(2024, 1, 1)


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


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, absolute or a folder of zones
        raise InvalidInput(f"{name!r} is not a time zone; name one as Europe/Rome") from error
    return name
