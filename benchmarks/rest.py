"""What must be gone again when nothing runs any more: pure, over what was measured before a load and after it.

Under load each call under way has a connection, and an idle one is kept for some seconds: their number follows the
runs and is no leak. What is still there when the runs are gone and the idle connections have had their time, is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .growth import Bound

Level = Mapping[str, float]
"""Values by name, of one moment."""

#: Memory that was filled with work once is kept for the next (caches, heaps), so much at most; its growth under load
#: is judged apart, and closely. Open files include RocksDB's tables, of the broker the segments that are not yet cut.
AT_REST: Mapping[str, tuple[str, Bound]] = {
    "memory": ("MB", Bound(64, share=0.25)),
    "memory of broker": ("MB", Bound(256)),
    "files": ("", Bound(16)),
    "files of broker": ("", Bound(64)),
    "connections": ("", Bound(4)),
    "threads": ("", Bound(4)),
}


@dataclass(frozen=True, slots=True)
class AtRest:
    """One thing before the load, at its highest, and after it, and how much more may be left."""

    name: str
    unit: str
    before: float
    highest: float
    after: float
    allowed: float

    @property
    def gone(self) -> bool:
        return self.after - self.before <= self.allowed


def compare(before: Level, load: Mapping[str, Sequence[float]], after: Level) -> Iterator[AtRest]:
    """What has a bound at rest; a name without a value afterwards counts as not gone."""
    for name, first in sorted(before.items()):
        key = max((key for key in AT_REST if name.startswith(key)), key=len, default=None)
        if key is not None:
            unit, bound = AT_REST[key]
            highest = max([first, *load.get(name, ())])
            yield AtRest(name, unit, first, highest, after.get(name, float("inf")), bound.allowed(first, 0))


def table(found: Iterable[AtRest]) -> list[str]:
    """A Markdown table, what is left first."""
    lines = ["| | before | highest | after | more allowed | |", "|---|---|---|---|---|---|"]
    for one in sorted(found, key=lambda one: one.gone):
        numbers = " | ".join(
            f"{value:,.1f} {one.unit}".rstrip() for value in (one.before, one.highest, one.after, one.allowed)
        )
        lines.append(f"| {one.name} | {numbers} | {'gone' if one.gone else '**left**'} |")
    return lines
