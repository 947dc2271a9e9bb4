"""Small functions made from a seed, and what must come out of them whatever dies meanwhile."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["run", "sleep", "wait", "signal", "invoke"]
RETRIES = 3
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds: hours under a virtual clock, moments on a real one.

    `patience` is how long a run waits for what never comes. What does come is waited for `long`.
    """

    sleeps: tuple[int, ...] = (0, 1, 30, 3600)
    patience: int = 10 * DAY_SECONDS
    long: int = 10 * DAY_SECONDS


REAL = Pace(sleeps=(0, 1, 1, 3), patience=2, long=DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program. `fails`: how often it fails first; more than the retries: for good.

    `answers` is a later wait whose event this step sends while it runs: that is before the wait is registered. That
    wait is `foretold`: nobody else sends its event. `seconds` is how long it sleeps, or waits. Nothing comes for a wait
    that is `stopped`, and it lasts too long: only the event that cancels its run ends it.
    """

    id: str
    kind: Kind
    fails: int = 0
    seconds: int = 0
    answered: bool = False
    foretold: bool = False
    stopped: bool = False
    answers: str = ""
    function: int = -1
    condition: str = ""

    @property
    def lasts(self) -> bool:
        """Time alone ends it."""
        return self.kind == "sleep" or (self.kind in ("wait", "signal") and not self.answered and not self.stopped)


@dataclass(frozen=True, slots=True)
class Program:
    """Groups of steps one after the other; those of one group are parallel."""

    number: int
    groups: tuple[tuple[Step, ...], ...]
    mode: str = ""
    cancellable: bool = False

    @property
    def steps(self) -> dict[str, Step]:
        return {step.id: step for group in self.groups for step in group}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run must end: its status, and the result of each of its steps as far as it got."""

    status: str
    results: tuple[tuple[str, object], ...] = field(default=())


def programs(rng: random.Random, count: int, pace: Pace) -> list[Program]:
    """Programs that invoke only those with a higher number."""
    return [_program(rng, number, count, pace) for number in range(count)]


def outcome(program: Program, all_programs: Sequence[Program], gone: Container[str] = ()) -> Outcome:
    """What a run of the program ends with. A step that fails for good fails the run when its group is done.

    `gone` are steps that have invoked a run that was cancelled before its end.
    """
    results: list[tuple[str, object]] = []
    for group in program.groups:
        if group[0].stopped:
            return Outcome("Cancelled", tuple(results))
        failed = False
        for step in group:
            value = "error" if step.id in gone else _result(step, all_programs)
            failed = failed or value == "error"
            results.append((step.id, value))
        if failed:
            return Outcome("Failed", tuple(results))
    return Outcome("Completed", tuple(results))


def child_key(k: int, step: Step) -> int:
    """The number of the run that a step invokes: no other run has it, and it is below 2**53 for four programs."""
    program, rest = step.id[1:].split("g")
    group, place = rest.split("s")
    return k * 1000 + int(program) * 100 + int(group) * 10 + int(place)


def ancestors(k: int, most_roots: int) -> list[int]:
    """The number of a run, of the run that invoked it, and so on up to one of the roots 1 … `most_roots`."""
    found = [k]
    while found[-1] > most_roots:
        found.append(found[-1] // 1000)
    return found


def _result(step: Step, all_programs: Sequence[Program]) -> object:
    match step.kind:
        case "run":
            return "error" if step.fails > RETRIES else f"did {step.id}"
        case "sleep":
            return None
        case "wait" | "signal":
            return "answer" if step.answered else None
        case "invoke":
            return "result" if outcome(all_programs[step.function], all_programs).status == "Completed" else "error"


def _program(rng: random.Random, number: int, count: int, pace: Pace) -> Program:
    groups: list[tuple[Step, ...]] = []
    for place in range(rng.randint(1, 4)):
        size = rng.choice((1, 1, 1, 2, 3))
        groups.append(tuple(_step(rng, f"p{number}g{place}s{each}", number, count, pace) for each in range(size)))
    for place in range(len(groups) - 1):
        groups[place : place + 2] = _with_webhook(rng, *groups[place : place + 2])
    cancellable = rng.random() < 0.3
    if cancellable and rng.random() < 0.4:
        groups.append((Step(f"p{number}g{len(groups)}s0", "wait", seconds=pace.long, stopped=True),))
    return Program(number, tuple(groups), rng.choice(("", "", "race")), cancellable)


def _step(rng: random.Random, step_id: str, number: int, count: int, pace: Pace) -> Step:
    kinds: list[Kind] = ["run", "run", "run", "sleep", "wait", "signal"]
    if number + 1 < count:
        kinds += ["invoke", "invoke"]
    kind, answered = rng.choice(kinds), rng.random() < 0.7
    return Step(
        step_id,
        kind,
        fails=rng.choice((0, 0, 0, 0, 1, 2, RETRIES, RETRIES + 1)),
        seconds=rng.choice(pace.sleeps) if kind == "sleep" else pace.long if answered else pace.patience,
        answered=answered,
        function=rng.randrange(number + 1, count) if number + 1 < count else -1,
        condition=rng.choice(("", " && async.data.go == true", " || async.data.k == event.data.k")),
    )


def _with_webhook(
    rng: random.Random, group: tuple[Step, ...], following: tuple[Step, ...]
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """A single step may cause the event of the single wait that follows it."""
    causes = len(group) == 1 and group[0].kind == "run" and group[0].fails == 0 and rng.random() < 0.7
    if causes and len(following) == 1 and following[0].kind == "wait" and following[0].answered:
        caused = following[0]
        told = Step(caused.id, "wait", seconds=caused.seconds, answered=True, foretold=True, condition=caused.condition)
        return (Step(group[0].id, "run", answers=caused.id),), (told,)
    return group, following
