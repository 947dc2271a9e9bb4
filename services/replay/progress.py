"""How far a replay has come, counted while it goes on. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..messages.records import ReplayProgress, ReplayStatus
from .table import ReplayState

#: The rate that is shown follows what happens within about this time.
SMOOTH_SECONDS = 5.0


@dataclass(slots=True)
class Counts:
    """What a portion of records adds."""

    matched: int = 0
    started: int = 0
    undecodable: int = 0
    by_day: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        self.matched += other.matched
        self.started += other.started
        self.undecodable += other.undecodable
        self.by_day.update(other.by_day)

    def match(self, written_at: int) -> None:
        """One more event that the replay is for."""
        self.matched += 1
        self.by_day[day_of(written_at)] += 1


class Tally:
    """Positions and counts of one replay, from where they were recorded last."""

    def __init__(self, state: ReplayState) -> None:
        self._id = state.asked.id
        self.positions = state.positions()
        self.counts = Counts()
        self.records_per_second = 0.0
        self.held_back = ""
        self._seen = 0
        self._seen_at = 0.0
        if state.progress is not None:
            was = state.progress
            self.counts = Counts(was.matched, was.started, was.undecodable, Counter(dict(was.by_day)))

    def moved(self, positions: dict[str, int], counts: Counts) -> None:
        """Everything before these positions is done with."""
        self.positions |= positions
        self.counts.add(counts)

    def measure(self, now_seconds: float) -> None:
        """Bring the rate up to date, from what was read since the last time."""
        read, since = sum(self.positions.values()), now_seconds - self._seen_at
        if self._seen_at and since > 0:
            weight = min(since / SMOOTH_SECONDS, 1.0) if self.records_per_second else 1.0
            self.records_per_second += weight * ((read - self._seen) / since - self.records_per_second)
        self._seen, self._seen_at = read, now_seconds

    def record(self, status: ReplayStatus, now: int, error: str = "") -> ReplayProgress:
        counts = self.counts
        return ReplayProgress(
            id=self._id,
            status=status,
            positions=dict(self.positions),
            updated_at=now,
            matched=counts.matched,
            started=counts.started,
            undecodable=counts.undecodable,
            by_day=dict(counts.by_day),
            records_per_second=round(self.records_per_second, 1),
            held_back=self.held_back,
            error=error,
        )


def day_of(millis: int) -> str:
    """The day in UTC, as in 2026-08-31."""
    return datetime.fromtimestamp(max(millis, 0) / 1000, UTC).date().isoformat()
