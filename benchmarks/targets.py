"""What the server is to reach on two cores with broker, services and load on the same machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound, and on which side of it is good."""

    bound: float
    at_least: bool

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}"


def at_least(bound: float) -> Target:
    return Target(bound, True)


def at_most(bound: float) -> Target:
    return Target(bound, False)


ACCEPT_BATCHES = at_least(10_000)
ACCEPT_SINGLE = at_least(1_500)
SATURATED_ONE = at_least(600)
FIRST_CALL_P50 = at_most(30)
FIRST_CALL_P99 = at_most(100)
RESUMED_P50 = at_most(40)
RESUMED_P99 = at_most(150)
STEP_TO_STEP_P50 = at_most(12)
STEP_TO_STEP_P99 = at_most(50)
CPU_MS_PER_RUN = at_most(2.5)
IDLE_CORE_PERCENT = at_most(5)
SERVICES_RSS_MB = at_most(500)
"""All services together, without the broker."""
