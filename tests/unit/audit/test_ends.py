"""Ends of runs against what history shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.audit import ends
from penstock.messages.ids import RunId

ENDED = {RunId(f"run-{n}"): "Completed" for n in range(1200)}


def test_history_that_shows_every_end_is_clean() -> None:
    """Asked in portions, each run once."""
    asked: list[RunId] = []

    def shown(runs: Sequence[RunId]) -> Mapping[RunId, str]:
        asked.extend(runs)
        assert len(runs) <= 500
        return ENDED

    found = ends.compare(ENDED, shown)
    assert found.clean
    assert asked == list(ENDED)
    assert found.checked["ends in history"] == 1200


def test_an_end_that_history_lacks_is_found() -> None:
    """A run that it does not know, and one that it shows as running."""
    shown = {**ENDED, RunId("run-3"): "Running"}
    del shown[RunId("run-5")]
    found = ends.compare(ENDED, lambda _: shown)
    assert {(f.rule, f.about) for f in found.kept} == {("history shows the end", run) for run in ("run-3", "run-5")}
