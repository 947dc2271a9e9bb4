"""What nobody has come to yet on one partition, and how long the first of it has lain there: pure."""

from __future__ import annotations

from .changelog import LATE_MS
from .findings import Findings, Rule


class Backlog:
    """Told of a partition's records in order, it knows which of them their reader is done with.

    What is late is told by the first record that waits: a reader that only lags has passed it by the second look.
    """

    def __init__(self, rule: Rule, topic: str, partition: int, taken: int, now: int) -> None:
        """`taken`: the offset before which the reader is done, as of `now` or later."""
        self._rule: Rule = rule
        self._place = f"{topic}/{partition}"
        self._taken = taken
        self._now = now
        self._first: tuple[int, int] | None = None
        self._late = 0

    def take(self, offset: int, timestamp: int) -> bool:
        """Whether the reader is done with this record."""
        if offset < self._taken:
            return True
        if timestamp < self._now - LATE_MS:
            self._first = self._first or (offset, timestamp)
            self._late += 1
        return False

    def findings(self) -> Findings:
        """Judge; to be called after the last record."""
        found = Findings()
        if self._first is not None:
            offset, timestamp = self._first
            seconds = (self._now - timestamp) // 1000
            message = f"has lain there for {seconds} s and nobody has come to it, nor to {self._late - 1} behind it"
            found.add(self._rule, f"{self._place}@{offset}", message)
        return found
