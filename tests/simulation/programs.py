"""Small functions made from a seed, and what must come out of them whatever dies meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["run", "sleep", "wait", "signal", "invoke"]
RETRIES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program. `fails`: how often it fails first; more than the retries: for good."""

    id: str
    kind: Kind
    fails: int = 0
    seconds: int = 0
    answered: bool = False
    answers: str = ""
    """A later wait whose event this step sends while it runs: that is before the wait is registered."""
    function: int = -1
    condition: str = ""


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


def programs(rng: random.Random, count: int) -> list[Program]:
    """Programs that invoke only those with a higher number."""
    return [_program(rng, number, count) for number in range(count)]


def outcome(program: Program, all_programs: Sequence[Program]) -> Outcome:
    """What a run of the program ends with. A step that fails for good fails the run when its group is done."""
    results: list[tuple[str, object]] = []
    for group in program.groups:
        failed = False
        for step in group:
            value = _result(step, all_programs)
            failed = failed or value == "error"
            results.append((step.id, value))
        if failed:
            return Outcome("Failed", tuple(results))
    return Outcome("Completed", tuple(results))


def _result(step: Step, all_programs: Sequence[Program]) -> object:
    match step.kind:
        case "run":
            return "error" if step.fails > RETRIES else f"did {step.id}"
        case "sleep":
            return None
        case "wait" | "signal":
            return "answer" if step.answered else None
        case "invoke":
            return "error" if outcome(all_programs[step.function], all_programs).status == "Failed" else "result"


def _program(rng: random.Random, number: int, count: int) -> Program:
    groups: list[tuple[Step, ...]] = []
    for place in range(rng.randint(1, 4)):
        size = rng.choice((1, 1, 1, 2, 3))
        groups.append(tuple(_step(rng, f"p{number}g{place}s{each}", number, count) for each in range(size)))
    groups = [_with_webhook(rng, groups, place) for place in range(len(groups))]
    return Program(number, tuple(groups), rng.choice(("", "", "race")), rng.random() < 0.3)


def _step(rng: random.Random, step_id: str, number: int, count: int) -> Step:
    kinds: list[Kind] = ["run", "run", "run", "sleep", "wait", "signal"]
    if number + 1 < count:
        kinds += ["invoke", "invoke"]
    kind = rng.choice(kinds)
    return Step(
        step_id,
        kind,
        fails=rng.choice((0, 0, 0, 0, 1, 2, RETRIES, RETRIES + 1)),
        seconds=rng.choice((0, 1, 30, 3600)),
        answered=rng.random() < 0.7,
        function=rng.randrange(number + 1, count) if number + 1 < count else -1,
        condition=rng.choice(("", " && async.data.go == true", " || async.data.k == event.data.k")),
    )


def _with_webhook(rng: random.Random, groups: list[tuple[Step, ...]], place: int) -> tuple[Step, ...]:
    """A single step may cause the event of the single wait that follows it."""
    group = groups[place]
    following = groups[place + 1] if place + 1 < len(groups) else ()
    causes = len(group) == 1 and group[0].kind == "run" and group[0].fails == 0 and rng.random() < 0.7
    if causes and len(following) == 1 and following[0].kind == "wait" and following[0].answered:
        return (Step(group[0].id, "run", answers=following[0].id),)
    return group
