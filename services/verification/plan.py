"""How much a round does, and what it has done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .reckoning import Cancels


@dataclass(frozen=True, slots=True)
class Plan:
    """`runs` events a round (999 at most, so that numbers tell parents), `rate` a second.

    After `patience` seconds without anything happening a round is stuck. With `poison`, bytes are sent that are no
    events; they stay as dead letters.
    """

    runs: int = 100
    rate: float = 20.0
    functions: int = 4
    patience: float = 90.0
    poison: bool = False


@dataclass(slots=True)
class Counts:
    """What happened, so that a verification in which nothing happens can be told from one that holds."""

    events: int = 0
    runs: int = 0
    steps: int = 0
    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.runs += other.runs
        self.steps += other.steps
        self.calls += other.calls
        self.statuses += other.statuses
        self.troubles += other.troubles

    def __str__(self) -> str:
        ended = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        troubles = ", ".join(f"{count} {what}" for what, count in sorted(self.troubles.items()))
        return (
            f"{self.events} events, {self.runs} runs ({ended}), {self.steps} steps, {self.calls} calls; "
            f"answers of the app and others: {troubles or 'all well'}"
        )


@dataclass(slots=True)
class Notes:
    """What a round remembers while it goes on; runs are meant by their numbers."""

    counts: Counts = field(default_factory=Counts)
    cancels: Cancels = field(default_factory=Cancels)
    called_at: dict[tuple[int, str], float] = field(default_factory=dict)
    """When runs were first asked for steps, by the monotonic clock."""
    known: set[tuple[int, str]] = field(default_factory=set)
    """Steps that runs were sent the results of."""
    wrong: dict[int, str] = field(default_factory=dict)
    """Runs that were sent a result that is none."""
