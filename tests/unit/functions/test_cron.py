"""Cron schedules, read and refused; when they fire, through both changes of the clock."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from penstock.errors import InvalidInput
from penstock.functions.cron import CronSchedule, jitter_ms, latest_firing, longest_jitter_ms, next_firing, parse_cron
from penstock.messages.ids import FunctionKey

FN = FunctionKey("app/app-fn")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def firings(text: str, after: str, count: int) -> list[str]:
    """The next firings, as its zone's clock shows them."""
    schedule = parse_cron(text)
    moment, found = ms(after), []
    for _ in range(count):
        following = next_firing(schedule, moment)
        assert following is not None
        assert following > moment
        moment = following
        found.append(datetime.fromtimestamp(moment / 1000, ZoneInfo(schedule.zone)).strftime("%d %H:%M %z"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * *", CronSchedule("*/5 * * * *")),
        ("0 9 * * MON-FRI", CronSchedule("0 9 * * MON-FRI")),
        ("TZ=Europe/Rome 0 9 * * *", CronSchedule("0 9 * * *", "Europe/Rome")),
        ("CRON_TZ=UTC  0 9 * * ?", CronSchedule("0 9 * * *", "UTC")),
    ],
)
def test_reads_five_fields_and_a_zone(text: str, expected: CronSchedule) -> None:
    """Five fields, optionally after a time zone; a question mark means any."""
    assert parse_cron(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("@daily", "1 fields"),
        ("61 * * * *", "minute"),
        ("0 0 31 2 *", "day"),
        ("TZ=Europe/Atlantis 0 9 * * *", "time zone"),
        ("TZ=../../etc/passwd 0 9 * * *", "time zone"),
        ("TZ= 0 9 * * *", "time zone"),
        ("*" * 256, "255 characters"),
    ],
)
def test_refuses_with_the_reason(text: str, reason: str) -> None:
    """What is not a schedule is refused, and the message says which part is wrong."""
    with pytest.raises(InvalidInput, match=reason):
        parse_cron(text)


ROME, NEW_YORK = "TZ=Europe/Rome", "TZ=America/New_York"


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # 29 March 2026, 02:00 becomes 03:00 in Rome
        (f"{ROME} 30 2 * * *", "2026-03-28T12:00Z", ["29 03:30 +0200", "30 02:30 +0200"]),
        (f"{ROME} 30 1 * * *", "2026-03-28T12:00Z", ["29 01:30 +0100", "30 01:30 +0200"]),
        (f"{ROME} 30 2,3 * * *", "2026-03-28T12:00Z", ["29 03:30 +0200", "30 02:30 +0200", "30 03:30 +0200"]),
        (f"{ROME} 0 * * * *", "2026-03-29T00:30Z", ["29 03:00 +0200", "29 04:00 +0200"]),
        (f"{ROME} 0 */2 * * *", "2026-03-28T23:30Z", ["29 03:00 +0200", "29 04:00 +0200", "29 06:00 +0200"]),
        # 25 October 2026, 03:00 becomes 02:00
        (f"{ROME} 30 2 * * *", "2026-10-24T12:00Z", ["25 02:30 +0200", "26 02:30 +0100"]),
        (f"{ROME} 30 2 * * *", "2026-10-25T00:45Z", ["26 02:30 +0100"]),
        (f"{ROME} */30 2 * * *", "2026-10-24T12:00Z", ["25 02:00 +0200", "25 02:30 +0200", "26 02:00 +0100"]),
        (f"{ROME} */30 * * * *", "2026-10-25T00:10Z", ["25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100"]),
        # 8 March 2026, 02:00 becomes 03:00 in New York
        (f"{NEW_YORK} 15,45 2 * * *", "2026-03-07T12:00Z", ["08 03:15 -0400", "08 03:45 -0400", "09 02:15 -0400"]),
        (f"{NEW_YORK} 30 2 * * SUN", "2026-03-07T12:00Z", ["08 03:30 -0400", "15 02:30 -0400"]),
        (f"{NEW_YORK} 0 9 * * MON-FRI", "2026-03-06T15:00Z", ["09 09:00 -0400", "10 09:00 -0400"]),
        # 1 November 2026, 02:00 becomes 01:00
        (f"{NEW_YORK} 30 1 * * *", "2026-10-31T12:00Z", ["01 01:30 -0400", "02 01:30 -0500"]),
        (f"{NEW_YORK} 30 1 * * *", "2026-11-01T06:00Z", ["02 01:30 -0500"]),
        (f"{NEW_YORK} 0 */2 * * *", "2026-11-01T03:30Z", ["01 00:00 -0400", "01 02:00 -0500", "01 04:00 -0500"]),
        # half an hour, and a whole day
        ("TZ=Australia/Lord_Howe 10 2 * * *", "2026-10-03T00:00Z", ["04 02:40 +1100", "05 02:10 +1100"]),
        ("TZ=Pacific/Apia 0 9 * * *", "2011-12-29T12:00Z", ["29 09:00 -1000", "31 09:00 +1400", "01 09:00 +1400"]),
        ("0 0 29 2 *", "2026-01-01T00:00Z", ["29 00:00 +0000"]),
    ],
)  # fmt: skip
def test_fires_by_the_clock_of_its_zone(text: str, after: str, expected: list[str]) -> None:
    """A time that is skipped fires once, as much later; one that comes twice fires once, unless it is every hour's."""
    assert firings(text, after, len(expected)) == expected


@pytest.mark.parametrize("zone", [ROME, NEW_YORK, "TZ=Australia/Lord_Howe", "TZ=Asia/Kolkata"])
@pytest.mark.parametrize(("start", "end"), [("03-01", "04-10"), ("09-28", "11-05")])
def test_every_half_hour_is_elapsed_time(zone: str, start: str, end: str) -> None:
    """A schedule of every hour never pauses and never doubles, through every change of the clock."""
    schedule, moment, found = parse_cron(f"{zone} */30 * * * *"), ms(f"2026-{start}T00:00Z"), []
    while moment < ms(f"2026-{end}T00:00Z"):
        moment = next_firing(schedule, moment) or 0
        found.append(moment)
    assert {later - earlier for earlier, later in pairwise(found)} == {30 * 60_000}


@pytest.mark.parametrize("zone", [ROME, NEW_YORK])
def test_every_day_has_one(zone: str) -> None:
    """Whatever the hour, a daily schedule fires 365 times in a year."""
    for hour in range(4):
        schedule, moment, count = parse_cron(f"{zone} 30 {hour} * * *"), ms("2026-01-01T12:00Z"), 0
        while (moment := next_firing(schedule, moment) or 0) < ms("2027-01-01T12:00Z"):
            count += 1
        assert count == 365


def test_a_firing_is_behind_the_moment_asked_about() -> None:
    """Exactly at a firing, the next one is named; a millisecond before, that one."""
    schedule = parse_cron("* * * * *")
    at = ms("2026-01-01T00:01Z")
    assert next_firing(schedule, at - 1) == at
    assert next_firing(schedule, at) == at + 60_000
    assert next_firing(schedule, at + 59_999) == at + 60_000


@pytest.mark.parametrize(
    ("text", "first", "until", "expected"),
    [
        ("* * * * *", "2020-01-01T00:00Z", "2026-01-01T00:00:30Z", "2026-01-01T00:00Z"),
        ("0 9 * * *", "2026-01-01T09:00Z", "2026-01-05T08:59Z", "2026-01-04T09:00Z"),
        ("0 9 * * *", "2026-01-01T09:00Z", "2026-01-05T09:00Z", "2026-01-05T09:00Z"),
        ("0 9 * * *", "2026-01-01T09:00Z", "2026-01-02T08:00Z", "2026-01-01T09:00Z"),
        ("0 9 * * *", "2026-01-01T09:00Z", "2025-12-01T08:00Z", "2026-01-01T09:00Z"),
        ("0 0 29 2 *", "2020-02-29T00:00Z", "2027-01-01T00:00Z", "2024-02-29T00:00Z"),
    ],
)
def test_the_latest_firing_up_to_a_moment(text: str, first: str, until: str, expected: str) -> None:
    """However long ago the first one was, and never before it."""
    assert latest_firing(parse_cron(text), ms(first), ms(until)) == ms(expected)


def test_jitter_is_derived_and_bounded() -> None:
    """Every owner says the same; firings and functions differ; at least a second, less than the bound."""
    found = [jitter_ms(FN, "* * * * *", n * 60_000, "30s") for n in range(200)]
    assert found == [jitter_ms(FN, "* * * * *", n * 60_000, "30s") for n in range(200)]
    assert all(1000 <= each < 30_000 for each in found)
    assert len(set(found)) > 150
    assert found != [jitter_ms(FunctionKey("app/other"), "* * * * *", n * 60_000, "30s") for n in range(200)]
    assert jitter_ms(FN, "* * * * *", 0, "1s") == 1000
    assert (jitter_ms(FN, "* * * * *", 0, None), longest_jitter_ms(None)) == (0, 0)
    assert longest_jitter_ms("5m") == 300_000


@pytest.mark.parametrize("after", [253_402_300_799_000, (1 << 63) - 1])
def test_nothing_fires_behind_the_calendar(after: int) -> None:
    """A registration dated into the year 9999, or far behind it, is no error: its trigger never fires."""
    assert next_firing(parse_cron("* * * * *"), after) is None


def test_a_registration_before_1970_fires_as_if_it_was_of_1970() -> None:
    """The time of a record that another tool wrote may be anything."""
    assert next_firing(parse_cron("* * * * *"), -(1 << 63)) == 60_000
