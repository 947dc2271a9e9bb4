"""From records to the numbers that are reported. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .trace import FINAL, Call, Sent


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles in milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (nearest rank)."""
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def spread(nanoseconds: Iterable[int]) -> Spread | None:
    """Percentiles of durations; None when there is none."""
    ordered = sorted(duration / 1e6 for duration in nanoseconds)
    if not ordered:
        return None
    p50, p90, p99 = (percentile(ordered, percent) for percent in (50, 90, 99))
    return Spread(len(ordered), p50, p90, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class Run:
    """One event's way, by the first time that each thing happened."""

    sent: int
    received: dict[int, int]
    """Step → when its (first) call was there; `FINAL` for the last call."""
    answered: dict[int, int]

    def first_call(self) -> int:
        return min(self.received.values())

    def gaps(self) -> list[int]:
        """From the end of each step to the call that continues the run."""
        steps = sorted(step for step in self.answered if step != FINAL)
        following = [*steps[1:], FINAL]
        return [
            self.received[after] - self.answered[step]
            for step, after in zip(steps, following, strict=False)
            if after in self.received
        ]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to the events of a phase."""

    runs: tuple[Run, ...]
    ended: int
    repeated_calls: int
    unknown_calls: int
    """Calls for events that this phase did not send."""

    def first_calls(self) -> Spread | None:
        return spread(run.first_call() - run.sent for run in self.runs)

    def between_steps(self) -> Spread | None:
        return spread(gap for run in self.runs for gap in run.gaps())

    def whole_runs(self) -> Spread | None:
        return spread(run.answered[FINAL] - run.sent for run in self.runs if FINAL in run.answered)

    def runs_per_second(self) -> float:
        """Runs that ended, from the first event sent to the last run's end."""
        ends = [run.answered[FINAL] for run in self.runs if FINAL in run.answered]
        if not ends:
            return 0.0
        return len(ends) / ((max(ends) - min(run.sent for run in self.runs)) / 1e9)


def timeline(sent: Iterable[Sent], calls: Iterable[Call]) -> Timeline:
    """Join both sides' records by event; a step that was called twice counts from its first call."""
    runs = {event.event: Run(event.scheduled, {}, {}) for event in sent}
    repeated = unknown = 0
    for call in sorted(calls, key=lambda call: call.received):
        run = runs.get(call.event)
        if run is None:
            unknown += 1
        elif call.step in run.received:
            repeated += 1
        else:
            run.received[call.step] = call.received
            run.answered[call.step] = call.answered
    called = tuple(run for run in runs.values() if run.received)
    return Timeline(called, sum(FINAL in run.answered for run in called), repeated, unknown)


def accepted_per_second(sent: Sequence[Sent]) -> float:
    """Events with a 200, from the first request's departure to the last answer."""
    good = [event for event in sent if event.status == 200]
    if not good:
        return 0.0
    return len(good) / ((max(event.answered for event in good) - min(event.sent for event in sent)) / 1e9)
