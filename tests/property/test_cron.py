"""No text crashes or holds up the reading of cron schedules, and whatever is read fires when its fields say so.

The fields are read here once more, by hand, and firings are held against the wall clock of their zone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import InvalidInput
from penstock.functions.cron import CronSchedule, latest_firing, next_firing, parse_cron

from .effort import examples

#: CPU time of one reading or one firing: a hundred times what it takes; other work on the machine counts for nothing.
SECONDS = 1.0
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
FIRST, LAST = 0, 4_102_444_800_000  # the year 2100
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
#: Both changes of each clock that has them, and the day that Apia left out.
CHANGES = [
    *("2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    *("2026-04-04T15:00Z", "2026-10-03T15:30Z", "2011-12-30T10:00Z"),
]

near_values = st.sampled_from(
    [
        *("*", "?", "0", "1", "5", "7", "8", "23", "24", "29", "30", "31", "32", "59", "60", "-1", "", "1.5", "٣", "²"),
        *("L", "LW", "5L", "1#5", "1#6", "#", "W", "15W", "SUN", "sat", "JAN", "dec", "MON-FRI", "FRI-MON", "ſat"),
        *("*/0", "*/1", "*/7", "*/99", "5/10", "L/2", "LW/1", "5L/2", "1#1/2", "/", "-", ",", "1,", "1-5/2", "9" * 60),
        *("L,1", "1,L/3", "L,LW", "1#1,2#2", "*,*/2", "1-2-3", "1/2/3", "*-5", "@daily", "\x00", "0x1", "+1", "1_0"),
    ]
)
near_zones = st.sampled_from(
    [
        *("TZ=UTC", "TZ=Europe/Rome", "CRON_TZ=America/New_York", "TZ=", "TZ=Europe", "TZ=../UTC", "TZ=/etc/passwd"),
        *("TZ=\x00", "TZ=europe/rome", "TZ=UTC=UTC", "CRON_TZ", "TZ=Ünïcode", "TZ=" + "a/" * 100, "TZ=\ud800", "TZ=."),
    ]
)
near_fields = st.lists(near_values, min_size=4, max_size=6).map(" ".join)
near_valid = near_fields | st.builds("{} {}".format, near_zones, near_fields)
moments = st.integers(FIRST, LAST) | st.builds(
    lambda change, around: round(datetime.fromisoformat(change).timestamp() * 1000) + around,
    st.sampled_from(CHANGES),
    st.integers(-2 * DAY, 2 * DAY),
)


@st.composite
def field(draw: st.DrawFn, position: int) -> tuple[str, frozenset[int]]:
    """One field as it is written, and the values that it means."""
    low, high = LIMITS[position]
    terms, meant = list[str](), set[int]()
    for _ in range(draw(st.integers(1, 2))):
        first, last = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
        step = draw(st.integers(1, 12))
        forms: list[tuple[str, range]] = [
            ("*", range(low, high + 1)),
            (f"*/{step}", range(low, high + 1, step)),
            (f"{first}", range(first, first + 1)),
            (f"{first}-{last}", range(first, last + 1)),
            (f"{first}-{last}/{step}" if first < last else f"{first}", range(first, last + 1, step)),
        ]
        text, values = draw(st.sampled_from(forms))
        terms.append(_named(text, position) if text.isdigit() and draw(st.booleans()) else text)
        meant |= set(values)
    return ",".join(terms), frozenset(meant)


def _named(text: str, position: int) -> str:
    """A month or a day of the week by its name."""
    if position == 3:
        return MONTHS[int(text) - 1].lower()
    return WEEKDAYS[int(text) % 7] if position == 4 else text


fields = st.tuples(*(field(position) for position in range(5)))


def read(text: str) -> CronSchedule | None:
    """The schedule; None for what is refused. Either within the time."""
    begun = time.thread_time()
    try:
        return parse_cron(text)
    except InvalidInput:
        return None
    finally:
        assert time.thread_time() - begun < SECONDS


def firing(schedule: CronSchedule, after: int) -> int | None:
    """The next firing, within the time."""
    begun = time.thread_time()
    found = next_firing(schedule, after)
    assert time.thread_time() - begun < SECONDS
    assert found is None or found > after
    return found


@settings(max_examples=examples(300), deadline=None)
@given(st.text(max_size=300) | near_valid, moments | st.integers(-(2**63), 2**63 - 1))
def test_no_text_crashes_a_schedule(text: str, after: int) -> None:
    """Any text is refused or is a schedule that names its next firings, later and later, in bounded time."""
    schedule = read(text)
    if schedule is None:
        return
    assert read(f"TZ={schedule.zone} {schedule.fields}") == schedule
    first = firing(schedule, after)
    if first is not None:
        firing(schedule, first)


@settings(max_examples=examples(40), deadline=None)
@given(fields, st.sampled_from(ZONES), moments)
def test_the_next_firing_is_the_first_that_matches(
    drawn: tuple[tuple[str, frozenset[int]], ...], zone: str, after: int
) -> None:
    """It is what the zone's clock shows as the fields say; between the moment asked about and it nothing is."""
    schedule = read(f"TZ={zone} " + " ".join(text for text, _ in drawn))
    if schedule is None:  # the 31st of February
        return
    found = firing(schedule, after)
    expected = first_matching(drawn, ZoneInfo(zone), after)
    if expected is not None:
        assert found == expected
    elif found is not None:
        assert found > after + LOOKED_MS


#: How far the model looks for a firing: minute by minute.
LOOKED_MS = 3 * DAY


def first_matching(drawn: tuple[tuple[str, frozenset[int]], ...], zone: ZoneInfo, after: int) -> int | None:
    """The first firing within the time looked at, found by trying each wall-clock minute of the days around."""
    start = datetime.fromtimestamp(after / 1000, UTC).replace(tzinfo=None, second=0, microsecond=0) - timedelta(days=2)
    every_hour = len(drawn[1][1]) == 24
    found = []
    for minute in range((LOOKED_MS + 4 * DAY) // MINUTE):
        wall = start + timedelta(minutes=minute)
        if not matches(drawn, wall):
            continue
        first, second = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
        # Behind a gap both are right for what is skipped: by the offset before the change it is as much later.
        found += [first, second] if every_hour and second > first else [first]
    behind = [round(moment * 1000) for moment in found if after < round(moment * 1000) <= after + LOOKED_MS]
    return min(behind, default=None)


def matches(drawn: tuple[tuple[str, frozenset[int]], ...], wall: datetime) -> bool:
    """As cron has it: a day of the month or of the week, but both when one of them begins with a star."""
    minutes, hours, days, months, weekdays = (values for _, values in drawn)
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    of_month, of_week = wall.day in days, bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
    both = drawn[2][0].startswith("*") or drawn[4][0].startswith("*")
    return of_month and of_week if both else of_month or of_week


@settings(max_examples=examples(50), deadline=None)
@given(fields, st.sampled_from(ZONES), moments, st.integers(0, 40))
def test_the_latest_firing_is_the_last_of_those_that_follow(
    drawn: tuple[tuple[str, frozenset[int]], ...], zone: str, after: int, count: int
) -> None:
    """Looking back from a moment finds the same firing as going on from one to the next."""
    schedule = read(f"TZ={zone} " + " ".join(text for text, _ in drawn))
    first = None if schedule is None else firing(schedule, after)
    if schedule is None or first is None:
        return
    last = first
    for _ in range(count):
        last = firing(schedule, last) or last
    begun = time.thread_time()
    assert latest_firing(schedule, first, last) == last
    assert latest_firing(schedule, first, last + MINUTE // 2) == last
    assert time.thread_time() - begun < SECONDS
