"""Arrivals are acknowledged in the order in which they lay in their partition.

Deliveries are confirmed in any order, and Faust may be told so in any order; but where a partition has gaps (the
markers of transactions), Faust 0.15 counts the record after a gap as acknowledged as soon as any later one is. In
order, that cannot lose anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Place = tuple[str, int]
"""Topic and partition."""


class Arrival:
    """One record that was taken and is not yet done with."""

    __slots__ = ("acknowledge", "done", "place")

    def __init__(self, place: Place, acknowledge: Callable[[], object]) -> None:
        self.place = place
        self.acknowledge = acknowledge
        self.done = False


class Acknowledgements:
    """Holds back each acknowledgement until every earlier arrival of its partition is done with."""

    def __init__(self) -> None:
        self._lines: dict[Place, deque[Arrival]] = {}
        self.waiting = 0
        """Arrivals that are taken and not yet acknowledged."""

    def arrived(self, place: Place, acknowledge: Callable[[], object]) -> Arrival:
        """Put a record at the end of its partition's line."""
        arrival = Arrival(place, acknowledge)
        self._lines.setdefault(place, deque()).append(arrival)
        self.waiting += 1
        return arrival

    def done(self, arrival: Arrival) -> None:
        """Nothing is left to do for this arrival: acknowledge it, and what waited for it."""
        arrival.done = True
        line = self._lines[arrival.place]
        while line and line[0].done:
            self.waiting -= 1
            line.popleft().acknowledge()
