"""A function that runs by the clock; driven once, in one SDK, because a minute is the shortest that there is."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

import pytest

from .app_process import python_app, wait_until
from .conftest import StartApp
from .server import Server

EVERY_MINUTE = "TZ=Europe/Ljubljana * * * * *"


@pytest.mark.timeout(200)
def test_a_function_runs_each_minute(server: Server, start_app: StartApp) -> None:
    """It fires at the full minute, once, and is told which one it was for."""
    app = start_app(f"cron-{uuid.uuid4().hex[:6]}", python_app("features"), CONFORMANCE_CRON=EVERY_MINUTE)
    synced_at = time.time()
    app.sync()
    [first, *_] = wait_until(lambda: app.journal("ticks"), "the first full minute", 75.0)
    outcome = server.wait_ended(str(first["what"]))
    assert outcome.output["name"] == "inngest/scheduled.timer"
    told = outcome.output["data"]
    scheduled = datetime.fromisoformat(told["scheduledAt"])
    assert outcome.output["id"] == told["scheduledAt"]
    assert told["cron"] == EVERY_MINUTE
    assert (scheduled.second, scheduled.utcoffset()) == (0, datetime.now(UTC).utcoffset())
    assert 0 < scheduled.timestamp() - synced_at <= 60
    assert scheduled.timestamp() <= int(first["at"]) / 1000 < scheduled.timestamp() + 10
    assert app.counts("ticks")[str(first["what"])] == 1
    assert (
        len({line["what"] for line in app.journal("ticks") if int(line["at"]) / 1000 < scheduled.timestamp() + 60}) == 1
    )
