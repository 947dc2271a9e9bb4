"""The time of a world is that of the process, for as long as it is open."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from penstock.testing.clock import VirtualClock

AT = datetime(2031, 1, 1, tzinfo=UTC)


def test_the_process_has_the_time_of_the_clock() -> None:
    """Only while it is started; it stands still until it is moved, and never goes back."""
    clock = VirtualClock(AT)
    assert datetime.now(UTC) < AT
    clock.start()
    try:
        assert datetime.now(UTC) == AT
        assert round(time.time() * 1000) == clock.now
        clock.move_to(clock.now + 1500)
        assert datetime.now(UTC) == AT + timedelta(seconds=1.5)
        clock.move_to(clock.now - 1000)
        assert datetime.now(UTC) == AT + timedelta(seconds=1.5)
    finally:
        clock.stop()
    assert datetime.now(UTC) < AT
    clock.stop()
