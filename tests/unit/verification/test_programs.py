"""Programs come from a seed, and their outcome from the programs alone."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from penstock.verification.programs import REAL, RETRIES, Program, Step, ancestors, child_key, outcome, programs

SEEDS = st.integers(0, 10_000)


@given(SEEDS)
def test_a_seed_always_makes_the_same_programs(seed: int) -> None:
    """Otherwise a failing seed could not be played again."""
    assert programs(random.Random(seed), 4, REAL) == programs(random.Random(seed), 4, REAL)


@given(SEEDS)
def test_a_foretold_wait_follows_the_step_that_causes_its_event(seed: int) -> None:
    """Nobody else sends it."""
    for program in programs(random.Random(seed), 4, REAL):
        for before, group in zip(((), *program.groups), program.groups, strict=False):
            for step in group:
                assert not step.foretold or [each.answers for each in before] == [step.id]


@given(SEEDS, st.integers(1, 999))
def test_the_number_of_an_invoked_run_tells_who_invoked_it(seed: int, k: int) -> None:
    """Two levels down as well, and all numbers are different."""
    steps = [step for program in programs(random.Random(seed), 4, REAL) for step in program.steps.values()]
    children = [child_key(k, step) for step in steps]
    assert len(set(children)) == len(children)
    for child in children:
        assert ancestors(child, 999) == [child, k]
        assert ancestors(child_key(child, steps[0]), 999)[1:] == [child, k]


def test_a_step_that_fails_for_good_fails_the_run_when_its_group_is_done() -> None:
    """Steps beside it have their results, steps behind it never run."""
    good, bad, late = Step("a", "run"), Step("b", "run", fails=RETRIES + 1), Step("c", "run")
    program = Program(0, ((bad, good), (late,)))
    assert outcome(program, [program]).status == "Failed"
    assert outcome(program, [program]).results == (("b", "error"), ("a", "did a"))


def test_what_is_invoked_decides_what_invoking_gives() -> None:
    """A failed run is an error to its caller."""
    failing = Program(1, ((Step("x", "run", fails=RETRIES + 1),),))
    caller = Program(0, ((Step("a", "invoke", function=1),),))
    assert outcome(caller, [caller, failing]).results == (("a", "error"),)
