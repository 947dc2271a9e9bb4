"""How fast: so many a second, and no burst after a pause. Pure: the clock's seconds are an argument."""

from __future__ import annotations

#: Runs are started (and events sent) in portions of this much time, so that what is live finds its place between them.
PORTION_SECONDS = 0.1
MAX_PORTION = 500


class Pace:
    """Tells how long to wait before each portion. What was not used while waiting for others is not caught up."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next_at = 0.0

    @property
    def portion(self) -> int:
        """Runs to start together."""
        return max(1, min(int(self.rate * PORTION_SECONDS), MAX_PORTION))

    def wait(self, count: int, now: float) -> float:
        """Seconds to wait before `count` more are started."""
        begin = max(self._next_at, now)
        self._next_at = begin + count / self.rate
        return begin - now
