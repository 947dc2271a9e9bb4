"""What runs felt in one phase of a fail-over, and what taking over a partition cost: pure, over records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .timings import Run, Spread, spread

Kind = Literal["warm-up", "kill", "stop", "rolling"]


@dataclass(frozen=True, slots=True)
class Gap:
    """How long a run waited for its next call: the first since its event was due, others since a step's end."""

    since: int
    until: int

    def after(self, moment: int) -> int:
        """The part of it that lies behind a moment."""
        return self.until - max(self.since, moment)


def gaps_of(run: Run) -> list[Gap]:
    ends = sorted([run.sent, *run.answered.values()])
    return [Gap(since, until) for since, until in zip(ends, sorted(run.received.values()), strict=False)]


@dataclass(slots=True)
class Outcome:
    """What happened to the runs of one phase."""

    kind: Kind
    name: str
    runs: int = 0
    lost: int = 0
    repeated: int = 0
    findings: list[str] = field(default_factory=list)
    stored_records: int = 0
    """How many of the services' local stores the audit has looked at."""
    gaps: list[Gap] = field(default_factory=list)
    moments: list[tuple[str, int, int]] = field(default_factory=list)
    """What was done, from when to when."""

    def gaps_in(self, place: int) -> list[Gap]:
        """The waits that touch the time of a moment; to the calm before and after only those wholly in it."""
        _, begin, end = self.moments[place]
        if place == 0:
            return [gap for gap in self.gaps if gap.until <= end]
        if place == len(self.moments) - 1:
            return [gap for gap in self.gaps if gap.since >= begin]
        return [gap for gap in self.gaps if gap.until > begin and gap.since < end]

    def spread_in(self, place: int) -> Spread | None:
        return spread(gap.until - gap.since for gap in self.gaps_in(place))

    def longest_after(self, place: int) -> float:
        """Seconds of the longest wait that touches a moment, counted from the moment's begin."""
        begin = self.moments[place][1]
        return max((gap.after(begin) for gap in self.gaps_in(place)), default=0) / 1e9


@dataclass(frozen=True, slots=True)
class Restored:
    """What an executor said about a partition that it took over."""

    what: str
    written: int
    """Records of the changelog that it did not have in its files."""
    records: int
    seconds: float
    ready_seconds: float
    """From the start of its process until it serves the partition."""

    @property
    def a_second(self) -> float:
        return self.records / max(self.seconds, 0.01)
