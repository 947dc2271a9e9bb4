"""Thousands of small worlds in which everything goes wrong; in each, what must come out comes out.

`PENSTOCK_SIMULATION_SEEDS` says how many (400, in CI 10,000), `PENSTOCK_SIMULATION_FIRST` where to begin.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from .mutants import MUTANTS, Mutant
from .world import Violation, World, play

SEEDS = int(os.environ.get("PENSTOCK_SIMULATION_SEEDS") or ("10000" if os.environ.get("CI") else "400"))
FIRST = int(os.environ.get("PENSTOCK_SIMULATION_FIRST", "0"))
PORTION = 100
#: In so many seeds a fault must be found.
ENOUGH = 400
#: Seeds that found something once.
FOUND: tuple[int, ...] = ()


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, PORTION))
def test_seeds(first: int) -> None:
    """Every run ends as its program says, once, whoever died; local state is the fold, no wait is left over."""
    runs = troubles = moves = late = 0
    for seed in range(first, first + PORTION):
        counts = play(seed)
        runs += counts.runs
        troubles += counts.deaths + counts.zombies + counts.duplicates
        moves += counts.moves
        late += counts.late
    assert runs >= PORTION
    assert troubles >= PORTION
    assert moves >= PORTION, "the matchers' partitions have hardly moved"
    assert late >= PORTION, "matchers that had lost their partitions have done hardly anything"


@pytest.mark.parametrize("seed", FOUND or (0,))
def test_seeds_that_found_something(seed: int) -> None:
    """What was mended stays mended."""
    play(seed)


def test_a_seed_decides_everything() -> None:
    """Played again, a seed gives the same changelog, byte for byte."""

    def changelog(seed: int) -> list[object]:
        world = World(seed)
        world.play()
        return [world.broker.log(world.topics.run_state, partition) for partition in range(2)]

    assert changelog(7) == changelog(7)


def test_the_model_is_not_blind() -> None:
    """An owner that forgets what it committed is found out."""
    found = 0
    for seed in range(30):
        world = World(seed)
        for owner in world.owners:
            owner.core.settle = lambda draft, offset, now: None  # type: ignore[method-assign]
        try:
            world.play()
        except (Violation, AssertionError, RuntimeError):
            found += 1
    assert found >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_fault_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one rule of matcher or executor broken, some run does not end as its program says."""
    mutant(monkeypatch)
    with pytest.raises(Violation):
        play_storms(range(ENOUGH))


def play_storms(seeds: Iterable[int]) -> None:
    for seed in seeds:
        play(seed, storm=True)
