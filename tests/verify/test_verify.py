"""A verification with the monkey: three minutes in CI; PENSTOCK_VERIFY_MINUTES and PENSTOCK_VERIFY_SEED choose."""

from __future__ import annotations

import os
import time
from itertools import islice

import pytest

from penstock.verification.verify import Seeds
from tests.conftest import StartStack

from .monkey import DEALT, DECK, HAND, KILLED, STOPPED, hand
from .playing import play

MINUTES = float(os.environ.get("PENSTOCK_VERIFY_MINUTES") or ("3" if os.environ.get("CI") else "1"))
#: Another one every day; a failure prints it.
SEED = int(os.environ.get("PENSTOCK_VERIFY_SEED") or 1000 * (int(time.time()) // 86_400))
PAUSE = (3.0, 10.0)
#: To kill and to stop each service: all of them within an hour, and in the minutes of CI one a minute at the least.
EVERY_SERVICE = (*(f"kill -9 {service}" for service in KILLED), *(f"stop {service}" for service in STOPPED))
#: Seeds whose round found a fault of the product once, each with the commit that mended it. To add one: play it by
#: `python -m tests.verify SEED --minutes 0` on the parent of that commit, where it must fail more often than not.
FOUND: tuple[int, ...] = ()


@pytest.mark.chaos
@pytest.mark.timeout(60 * MINUTES + 1200)
def test_every_run_ends_as_its_program_says(stack: StartStack) -> None:
    """Whatever the monkey kills, stops, adds and removes, and however the app answers, the world equals the model."""
    running = stack(bootstrap_servers=None, retry_interval=1)
    played = play(running, Seeds(SEED, minutes=MINUTES), PAUSE, print)
    print(played)
    assert played.findings == []
    assert played.counts.runs > 50 * MINUTES
    assert sum(played.deeds.values()) >= 2 * MINUTES
    assert played.counts.troubles.total() > 50
    kinds = {*EVERY_SERVICE} & {*played.deeds}
    assert len(kinds) >= min(len(EVERY_SERVICE), MINUTES), "too few kinds of deeds"


@pytest.mark.chaos
@pytest.mark.timeout(600 * len(FOUND) + 60)
def test_rounds_that_found_something(stack: StartStack) -> None:
    """What was mended stays mended; nothing is started while no seed is kept."""
    for seed in FOUND:
        played = play(stack(bootstrap_servers=None, retry_interval=1), Seeds(seed), PAUSE, print)
        assert played.findings == []


def test_a_seed_has_its_deeds_and_its_neighbours_the_others() -> None:
    """Whichever was played before; a few rounds together go through every kind."""
    assert [*islice(hand(7), 20)] == [*islice(hand(7), 20)]
    for first in range(0, 10 * DEALT, DEALT):
        dealt = [card for seed in range(first, first + DEALT) for card in islice(hand(seed), HAND)]
        assert {*dealt} == {*DECK}
