"""What the report says about what was found."""

from __future__ import annotations

from benchmarks.profile import Hotspot
from benchmarks.report import markdown, number
from benchmarks.results import OTHERS, Figure, Phase, Report
from benchmarks.targets import at_least, at_most


def report(*phases: Phase) -> Report:
    return Report("python -m benchmarks", {"cores": "2"}, phases)


def test_targets_are_kept_or_missed() -> None:
    """On the bound counts as kept, on either side."""
    figures = [Figure("a", 600, "runs/s", at_least(600)), Figure("b", 599, "runs/s", at_least(600))]
    figures += [Figure("c", 5, "%", at_most(5)), Figure("d", 5.1, "%", at_most(5)), Figure("e", 1, "s")]
    assert [figure.verdict() for figure in figures] == ["met", "MISSED", "met", "MISSED", ""]
    assert [figure.name for figure in report(Phase("x", tuple(figures))).missed()] == ["b", "d"]


def test_problems_name_their_phase() -> None:
    """What decides the exit code says where it happened."""
    phases = (Phase("low", (), problems=("1 of 2 runs did not end",)), Phase("idle", ()))
    assert report(*phases).problems() == ["low: 1 of 2 runs did not end"]


def test_the_page_has_command_machine_figures_costs_and_hotspots() -> None:
    """Everything that a reader needs to repeat and to judge it."""
    phase = Phase(
        "saturate one",
        (Figure("runs", 1234.5, "runs/s", at_least(600)),),
        cpu_ms_per_unit={"executor": 1.234},
        rss_mb={"executor": 101.2},
        hotspots={"executor": (Hotspot("apply (services/state/rocks.py)", 0.25, 0.5),)},
    )
    page = markdown(report(phase))
    assert "python -m benchmarks" in page
    assert "| cores | 2 |" in page
    assert "| runs | 1,234 runs/s | ≥ 600 | met |" in page
    assert "| CPU ms each | 1.23 |" in page
    assert "| RSS MB | 101 |" in page
    assert "| `apply (services/state/rocks.py)` | 25% | 50% |" in page


def test_a_machine_that_was_not_quiet_is_said_to_be() -> None:
    """Numbers that others have spoilt must not pass for the server's."""
    busy, quiet = (Phase("idle", (Figure(OTHERS, cores, "cores"),)) for cores in (1.1, 0.05))
    assert "others took up to 1.1 cores" in markdown(report(quiet, busy))
    assert "not quiet" not in markdown(report(quiet))


def test_numbers_keep_three_digits() -> None:
    """Enough to compare, no more than was measured."""
    assert [number(value) for value in (0.1234, 12.34, 123.4, 12345.6)] == ["0.12", "12.3", "123", "12,346"]
