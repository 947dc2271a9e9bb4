"""A replay as people's tools see it."""

from __future__ import annotations

from penstock.messages.records import ReplayProgress
from penstock.replay.shapes import replay_shape
from penstock.replay.table import ReplayState

from .doubles import NOW, replay


def test_the_estimate_and_the_rest_are_told() -> None:
    """Seconds to the end by the rate of late, and how long as many runs take at the replay's rate."""
    asked = replay(ends={"events/0": 100}, rate=10.0)
    progress = ReplayProgress(asked.id, "Running", {"events/0": 50}, NOW, matched=40, records_per_second=25.0)
    shape = replay_shape(ReplayState(asked, None, progress))
    assert (shape["status"], shape["total"], shape["done"], shape["eta_seconds"]) == ("Running", 100, 50, 2.0)
    assert (shape["seconds_at_rate"], shape["from"]) == (4.0, None)
    assert shape["partitions"] == [{"topic": "events", "partition": 0, "begin": 0, "position": 50, "end": 100}]


def test_what_has_not_begun_has_no_rate() -> None:
    """No estimate is better than a wrong one."""
    shape = replay_shape(ReplayState(replay()))
    assert (shape["status"], shape["eta_seconds"], shape["records_per_second"]) == ("Scheduled", None, 0.0)
