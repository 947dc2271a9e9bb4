"""Does it grow? What a soak measures over time, and the verdict: pure, over numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression
from typing import Literal

Kind = Literal["level", "sawtooth"]
"""A level is fitted by a line; what is cleared away now and then is judged by its peaks."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much the second half may gain: a fixed part, a share of the mean, and a part for each run it started."""

    fixed: float
    share: float = 0.0
    a_run: float = 0.0

    def allowed(self, mean: float, runs: int) -> float:
        return self.fixed + self.share * mean + self.a_run * runs


@dataclass(frozen=True, slots=True)
class Series:
    """One measured thing: its values by second."""

    name: str
    unit: str
    kind: Kind
    bound: Bound
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the second half gained, and what it was allowed to."""

    series: Series
    mean: float
    gained: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.gained <= self.allowed


def judge(series: Series, runs: int) -> Verdict:
    """The verdict on a series whose second half began and ended `runs` runs; it needs four points or more."""
    later = second_half(series.points)
    mean = sum(value for _, value in later) / len(later)
    gained = _risen(later) if series.kind == "level" else _peaks_risen(later)
    return Verdict(series, mean, gained, series.bound.allowed(mean, runs))


def second_half(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """The points behind the middle of the time: the rest is warm-up."""
    middle = (points[0][0] + points[-1][0]) / 2
    return [point for point in points if point[0] >= middle]


def fell(points: Sequence[tuple[float, float]]) -> int:
    """How often much of it was cleared away: falls by more than a tenth of the largest value."""
    much = max(value for _, value in points) / 10
    return sum(before - after > much for (_, before), (_, after) in pairwise(points))


def _risen(points: Sequence[tuple[float, float]]) -> float:
    times, values = zip(*points, strict=True)
    gained: float = linear_regression(times, values).slope * (times[-1] - times[0])
    return gained


def _peaks_risen(points: Sequence[tuple[float, float]]) -> float:
    middle = (points[0][0] + points[-1][0]) / 2
    earlier = max(value for at, value in points if at < middle)
    return max(value for at, value in points if at >= middle) - earlier


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """A Markdown table, what grew first."""
    lines = ["| | mean | gained in the second half | allowed | |", "|---|---|---|---|---|"]
    for verdict in sorted(verdicts, key=lambda verdict: verdict.flat):
        unit, outcome = verdict.series.unit, "flat" if verdict.flat else "**grows**"
        numbers = f"{verdict.mean:,.1f} {unit} | {verdict.gained:+,.1f} {unit} | {verdict.allowed:,.1f} {unit}"
        lines.append(f"| {verdict.series.name} | {numbers} | {outcome} |")
    return lines
