"""Where an owner goes on to read commands."""

from __future__ import annotations

import pytest

from penstock.executor.applied import UNKNOWN_LOG, CommandLog, continuation, ends_too_early
from penstock.messages.records import OffsetApplied


@pytest.mark.parametrize(
    ("applied", "log", "offset", "warned"),
    [
        (None, UNKNOWN_LOG, 0, False),
        (None, CommandLog("a", 30, 40), 30, False),
        (OffsetApplied(6, "a"), UNKNOWN_LOG, 7, False),
        (OffsetApplied(6, "a"), CommandLog("a", 0, 7), 7, False),
        (OffsetApplied(6), CommandLog("a", 0, 9), 7, False),
        (OffsetApplied(6, "a"), CommandLog("", 0, 9), 7, False),
        (OffsetApplied(6, "a"), CommandLog("b", 2, 900), 2, True),
        (OffsetApplied(6, "a"), CommandLog("a", 30, 40), 30, True),
        (OffsetApplied(6, "a"), CommandLog("a", 0, 5), 5, True),
        (OffsetApplied(6), CommandLog("a", 0, 5), 0, True),
    ],
    ids=[
        "nothing is applied",
        "nothing is applied, and the oldest are deleted",
        "nobody knows the log",
        "all is applied",
        "the id was not kept",
        "the id is not told",
        "made anew",
        "deleted unread",
        "its tail is lost",
        "shorter, and perhaps another",
    ],
)
def test_goes_on_where_nothing_is_passed_over(
    applied: OffsetApplied | None, log: CommandLog, offset: int, warned: bool
) -> None:
    """Behind what is applied of this log; what that cannot be is read again rather than lost, and said."""
    found = continuation(applied, log)
    assert (found.offset, bool(found.warning)) == (offset, warned)


def test_an_end_before_what_is_applied_is_too_early() -> None:
    """Unless the log is another, or nobody knows where it ends."""
    assert ends_too_early(CommandLog("a", 0, 6), OffsetApplied(6, "a"))
    assert not ends_too_early(CommandLog("a", 0, 7), OffsetApplied(6, "a"))
    assert not ends_too_early(CommandLog("b", 0, 1), OffsetApplied(6, "a"))
    assert not ends_too_early(UNKNOWN_LOG, OffsetApplied(6, "a"))
    assert not ends_too_early(CommandLog("a", 0, 0), None)
