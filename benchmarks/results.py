"""What a benchmark run found: figures by phase, with the bounds that some of them are to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .processes import Reading
from .profile import Hotspot
from .targets import Target
from .timings import Spread

#: These are no part of the services' own bill.
BROKER = "broker"
HARNESS = ("app", "load")
OTHERS = "other processes took"
#: Cores that others may take before a reader has to be told.
QUIET_CORES = 0.2


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    target: Target | None = None

    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "met" if self.target.met_by(self.value) else "MISSED"


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: its figures, what it cost each process, and what went wrong."""

    name: str
    figures: tuple[Figure, ...]
    cpu_ms_per_unit: Mapping[str, float] = field(default_factory=dict)
    rss_mb: Mapping[str, float] = field(default_factory=dict)
    hotspots: Mapping[str, tuple[Hotspot, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one run of the benchmark."""

    command: str
    machine: Mapping[str, str]
    phases: tuple[Phase, ...]

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    def missed(self) -> list[Figure]:
        return [figure for phase in self.phases for figure in phase.figures if figure.verdict() == "MISSED"]

    def taken_by_others(self) -> float:
        """Cores, in the phase that was disturbed most."""
        return max((f.value for phase in self.phases for f in phase.figures if f.name == OTHERS), default=0.0)

    def problems(self) -> list[str]:
        return [f"{phase.name}: {problem}" for phase in self.phases for problem in phase.problems]


def spread_figures(
    name: str, found: Spread | None, p50: Target | None = None, p99: Target | None = None
) -> tuple[Figure, ...]:
    """Percentiles as figures; nothing when nothing was measured."""
    if found is None:
        return ()
    return (
        Figure(f"{name} p50", found.p50, "ms", p50),
        Figure(f"{name} p90", found.p90, "ms"),
        Figure(f"{name} p99", found.p99, "ms", p99),
    )


def cpu_per_unit(before: Reading, after: Reading, units: int) -> dict[str, float]:
    """CPU milliseconds by process for each event or run."""
    return {name: seconds * 1000 / max(units, 1) for name, seconds in after.cpu_since(before).items()}


def rss(reading: Reading) -> dict[str, float]:
    return {name: cost.rss_bytes / 1e6 for name, cost in reading.costs.items()}


def without(costs: Mapping[str, float], *names: str) -> float:
    """The sum over all processes but these."""
    return sum(value for name, value in costs.items() if name not in names)
