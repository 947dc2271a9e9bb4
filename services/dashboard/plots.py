"""Plots as SVG: bars for how many, lines for how long. Made on the server, so that pages need no program for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .times import DAY, HOUR, MINUTE, SECOND, duration, exact

WIDTH, HEIGHT, LEFT, BOTTOM = 420, 130, 54, 14
STACK = ("Completed", "Running", "Failed", "Cancelled", "Skipped")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a bar."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """How many, in stacks."""

    blocks: tuple[Block, ...]
    marks: tuple[Mark, ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """How long, one path for each name; points where there is nothing are left out."""

    paths: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]
    empty: bool


def bars(starts: Sequence[int], counts: Sequence[Mapping[str, int]]) -> Bars:
    """Stacked bars, one for each bucket."""
    top = nice(max([sum(each.values()) for each in counts], default=0))
    step = (WIDTH - LEFT) / max(len(starts), 1)
    blocks: list[Block] = []
    for i, (start, each) in enumerate(zip(starts, counts, strict=True)):
        base = float(HEIGHT - BOTTOM)
        for kind in STACK:
            number = each.get(kind, 0)
            if number:
                height = number / top * (HEIGHT - BOTTOM - 6)
                base -= height
                x = round(LEFT + i * step + 0.5, 2)
                title = f"{number} {kind.lower()}, {exact(start)[:16]}"
                blocks.append(Block(x, round(base, 2), round(max(step - 1, 0.8), 2), round(height, 2), kind, title))
    marks = (Mark(_y(0, top), "0"), Mark(_y(top / 2, top), _short(top / 2)), Mark(_y(top, top), _short(top)))
    return Bars(tuple(blocks), marks, not blocks)


def lines(named: Mapping[str, Sequence[float | None]]) -> Lines:
    """Paths of milliseconds over the buckets."""
    values = [value for series in named.values() for value in series if value is not None]
    top = nice_duration(max(values, default=0.0))
    paths = tuple((name, _path(series, top)) for name, series in named.items())
    marks = tuple(Mark(_y(share * top, top), duration(int(share * top))) for share in (0, 0.5, 1))
    return Lines(paths, marks, not values)


def _path(series: Sequence[float | None], top: float) -> str:
    step = (WIDTH - LEFT) / max(len(series), 1)
    parts, pen_down = [], False
    for i, value in enumerate(series):
        if value is None:
            pen_down = False
            continue
        x, y = round(LEFT + (i + 0.5) * step, 1), round(_y(value, top), 1)
        # A lone point is a short stroke, or it would not be seen.
        parts.append(f"L{x} {y}" if pen_down else f"M{x - 1.5} {y}L{x} {y}")
        pen_down = True
    return "".join(parts)


def nice(number: float) -> float:
    """The next number that reads well."""
    if number <= 0:
        return 1.0
    size = 1.0
    while size * 10 <= number:
        size *= 10
    return next(size * step for step in (1, 2, 5, 10) if size * step >= number)


def nice_duration(millis: float) -> float:
    """The next duration that reads well, in whichever unit."""
    unit = next(size for size in (DAY, HOUR, MINUTE, SECOND, 1) if millis >= size or size == 1)
    return nice(millis / unit) * unit


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - 6)


def _short(number: float) -> str:
    if number >= 10_000:
        return f"{number / 1000:g}k"
    return f"{number:g}"
