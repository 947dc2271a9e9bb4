"""A time axis that people can read whatever lies on it: long stretches in which nothing works are folded.

A run may work for milliseconds and sleep for a month. To scale, only the month would be seen; so idle stretches get
a fixed share of the width, and say how long they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .times import duration

Interval = tuple[int, int]
#: An idle stretch is folded when it takes more than this part of the whole.
FOLD_FROM = 0.4
FOLDED_WIDTH = 14.0
TICKS = 5
#: Room for a label, in per cent.
LABEL_WIDTH = 8.0
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000)
_LONG_STEPS = (600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 7 * 86_400_000)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Fold:
    """A stretch that is not to scale."""

    at: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps moments to per cent of the width, piece by piece."""

    moments: tuple[int, ...]
    places: tuple[float, ...]
    ticks: tuple[Tick, ...]
    folds: tuple[Fold, ...]

    def at(self, moment: int) -> float:
        """Per cent from the left; what lies outside is put on the edge."""
        if moment <= self.moments[0]:
            return self.places[0]
        if moment >= self.moments[-1]:
            return self.places[-1]
        i = bisect_right(self.moments, moment) - 1
        share = (moment - self.moments[i]) / (self.moments[i + 1] - self.moments[i])
        return self.places[i] + share * (self.places[i + 1] - self.places[i])


def axis(start: int, end: int, busy: Sequence[Interval]) -> Axis:
    """The axis from `start` to `end`; `busy` says when something worked."""
    end = max(end, start + 1)
    idle = [gap for gap in _gaps(start, end, busy) if gap[1] - gap[0] > FOLD_FROM * (end - start)]
    moments = sorted({start, end, *(edge for gap in idle for edge in gap)})
    widths = _widths(moments, idle)
    places = [0.0]
    for width in widths:
        places.append(places[-1] + width)
    places[-1] = 100.0
    made = Axis(tuple(moments), tuple(places), (), _folds(moments, places, idle))
    return Axis(made.moments, made.places, _ticks(made, idle), made.folds)


def _gaps(start: int, end: int, busy: Sequence[Interval]) -> list[Interval]:
    gaps, at = [], start
    for first, last in sorted(busy):
        if first > at:
            gaps.append((at, min(first, end)))
        at = max(at, last)
    if at < end:
        gaps.append((at, end))
    return gaps


def _widths(moments: Sequence[int], idle: Sequence[Interval]) -> list[float]:
    pieces = list(pairwise(moments))
    to_scale = sum(b - a for a, b in pieces if (a, b) not in idle)
    if to_scale == 0:
        return [100.0 / len(pieces)] * len(pieces)
    room = 100.0 - FOLDED_WIDTH * len(idle)
    return [FOLDED_WIDTH if (a, b) in idle else room * (b - a) / to_scale for a, b in pieces]


def _folds(moments: Sequence[int], places: Sequence[float], idle: Sequence[Interval]) -> tuple[Fold, ...]:
    at = dict(zip(moments, places, strict=True))
    if not idle or (len(idle) == 1 and len(moments) == 2):
        return ()
    return tuple(Fold(at[a], at[b] - at[a], duration(b - a)) for a, b in idle)


def _ticks(made: Axis, idle: Sequence[Interval]) -> tuple[Tick, ...]:
    start = made.moments[0]
    to_scale = sum(b - a for a, b in pairwise(made.moments) if (a, b) not in idle)
    step = _step(max(to_scale, 1))
    ticks = [Tick(0.0, "0")]
    for first, last in pairwise(made.moments):
        if (first, last) in idle and made.folds:
            continue
        moment = first - (first - start) % step + step
        while moment < last and len(ticks) < 4 * TICKS:
            ticks.append(Tick(made.at(moment), duration(moment - start)))
            moment += step
    return tuple(_apart(ticks, made.folds))


def _apart(ticks: Sequence[Tick], folds: Sequence[Fold]) -> list[Tick]:
    """Ticks whose labels would touch another, a fold or the edge are left out."""
    kept: list[Tick] = []
    ends = [fold.at for fold in folds] + [100.0]
    for tick in ticks:
        room = min((end - tick.at for end in ends if end >= tick.at), default=0.0)
        if room >= LABEL_WIDTH and (not kept or tick.at - kept[-1].at >= LABEL_WIDTH):
            kept.append(tick)
    return kept


def _step(length: int) -> int:
    for step in (*_STEPS, *_LONG_STEPS):
        if length / step <= TICKS:
            return step
    return length // TICKS
