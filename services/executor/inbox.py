"""What has arrived at an owner and waits to be taken, in order; its size is known, so that readers can hold back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .arrivals import Arrival, size_of


class Inbox:
    """A queue of arrivals; `size` is the payload in them in characters, about."""

    def __init__(self) -> None:
        self.size = 0
        self._waiting: deque[tuple[Arrival, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put_all(self, arrivals: Sequence[Arrival]) -> None:
        sized = [(arrival, size_of(arrival)) for arrival in arrivals]
        self._waiting.extend(sized)
        self.size += sum(size for _, size in sized)

    def put_back(self, arrivals: Sequence[Arrival]) -> None:
        """They come before all others again, in their order."""
        sized = [(arrival, size_of(arrival)) for arrival in reversed(arrivals)]
        self._waiting.extendleft(sized)
        self.size += sum(size for _, size in sized)

    def take(self, most: int, characters: int) -> list[Arrival]:
        """The first ones, bounded in number and in size; one that is larger than the bound is taken alone."""
        batch: list[Arrival] = []
        taken = 0
        while self._waiting and len(batch) < most and taken < characters:
            arrival, size = self._waiting.popleft()
            batch.append(arrival)
            taken += size
        self.size -= taken
        return batch

    def clear(self) -> None:
        self._waiting.clear()
        self.size = 0
