"""Plots, as numbers."""

from __future__ import annotations

import pytest

from penstock.dashboard.plots import BOTTOM, HEIGHT, WIDTH, bars, lines, nice, nice_duration


def test_bars_are_stacked_within_the_picture() -> None:
    """Each kind on top of the one below, none outside."""
    made = bars([0, 1], [{"Completed": 3, "Failed": 1}, {}])
    completed, failed = made.blocks
    assert (completed.kind, failed.kind) == ("Completed", "Failed")
    assert completed.y + completed.height == pytest.approx(HEIGHT - BOTTOM, abs=0.1)
    assert failed.y + failed.height == pytest.approx(completed.y, abs=0.1)
    assert failed.y >= 0
    assert completed.x + completed.width <= WIDTH
    assert [mark.label for mark in made.marks] == ["0", "2.5", "5"]
    assert bars([0], [{}]).empty


def test_a_gap_interrupts_a_line() -> None:
    """Where nothing ran, nothing is drawn."""
    ((_, path),) = lines({"p50": [1.0, 2.0, None, 3.0]}).paths
    assert path.count("M") == 2
    assert lines({"p50": [None, None]}).empty


@pytest.mark.parametrize(("number", "top"), [(0, 1), (1, 1), (3, 5), (7, 10), (11, 20), (0.3, 1), (99, 100)])
def test_an_axis_ends_at_a_round_number(number: float, top: float) -> None:
    """The next that reads well."""
    assert nice(number) == top


@pytest.mark.parametrize(("millis", "top"), [(300, 500), (1500, 2000), (90_000, 120_000), (8_000_000, 5 * 3_600_000)])
def test_an_axis_of_durations_ends_at_a_round_one(millis: float, top: float) -> None:
    """In whichever unit it is told."""
    assert nice_duration(millis) == top
