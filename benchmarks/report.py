"""The findings for people: a table in the terminal, a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from .results import QUIET_CORES, Figure, Phase, Report


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(phases: Iterable[Phase]) -> Table:
    """All figures with targets and verdicts."""
    shown = Table("phase", "figure", "measured", "target", "", box=box.SIMPLE_HEAD)
    for column in shown.columns:
        column.no_wrap = True
    for phase in phases:
        for index, figure in enumerate(phase.figures):
            shown.add_row(phase.name if index == 0 else "", *_cells(figure))
        for problem in phase.problems:
            shown.add_row("", f"[red]{problem}[/red]", "", "", "")
        shown.add_section()
    return shown


def markdown(report: Report) -> str:
    """The page to keep."""
    lines = ["# Benchmark report", "", "```", report.command, "```", "", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report.machine.items()]
    lines += [
        "",
        "Latencies are from the time an event was due to be sent; CPU is user and system time, broker included.",
    ]
    lines += _disturbance(report)
    for phase in report.phases:
        lines += ["", f"## {phase.name}", *_figures(phase)]
        lines += [f"\n**{problem}**" for problem in phase.problems]
        lines += [*_by_process(phase), *_hotspots(phase)]
    return "\n".join(lines) + "\n"


def _disturbance(report: Report) -> list[str]:
    taken = report.taken_by_others()
    if taken <= QUIET_CORES:
        return []
    return [
        "",
        f"**The machine was not quiet: others took up to {taken:.1f} cores. Alone, the server does better.**",
    ]


def _figures(phase: Phase) -> list[str]:
    if not phase.figures:
        return []
    head = ["", "| figure | measured | target | |", "|---|---:|---:|---|"]
    return head + [f"| {' | '.join(_cells(figure))} |" for figure in phase.figures]


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    target = "" if figure.target is None else str(figure.target)
    return figure.name, f"{number(figure.value)} {figure.unit}", target, figure.verdict()


def _by_process(phase: Phase) -> list[str]:
    names = list(phase.rss_mb or phase.cpu_ms_per_unit)
    if not names:
        return []
    lines = ["", f"| by process | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    if phase.cpu_ms_per_unit:
        cells = " | ".join(number(phase.cpu_ms_per_unit.get(name, 0.0)) for name in names)
        lines.append(f"| CPU ms each | {cells} |")
    if phase.rss_mb:
        lines.append(f"| RSS MB | {' | '.join(number(phase.rss_mb[name]) for name in names)} |")
    return lines


def _hotspots(phase: Phase) -> list[str]:
    lines: list[str] = []
    for name, spots in phase.hotspots.items():
        lines += ["", f"| {name}: function | itself | with calls |", "|---|---:|---:|"]
        lines += [f"| `{spot.function}` | {spot.alone:.0%} | {spot.with_calls:.0%} |" for spot in spots]
    return lines
