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
#: Seeds that found a fault of the product once, each with the commit that mended it. To add one: play it on the parent
#: of that commit, where it must fail. Programs come from the seed: after a change to them it may play another world.
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


def test_seeds_that_found_something() -> None:
    """What was mended stays mended, in each kept seed, plain and in a storm; nothing is played while none is kept."""
    for seed in FOUND:
        play(seed)
        play(seed, storm=True)


def test_a_failure_says_how_to_play_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever failed, not only the reckoning."""

    def fails(self: World) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(World, "_reckon", fails)
    with pytest.raises(RuntimeError) as caught:
        play(3, storm=True)
    assert caught.value.__notes__ == ["play it again: python -m tests.simulation 3 --storm"]


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
