"""Cron schedules, read and refused."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidInput
from penstock.functions.cron import CronSchedule, parse_cron


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
