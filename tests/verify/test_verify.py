"""A verification with the monkey: three minutes in CI; PENSTOCK_VERIFY_MINUTES and PENSTOCK_VERIFY_SEED choose."""

from __future__ import annotations

import os
import time

import pytest

from penstock.verification.verify import Seeds
from tests.conftest import StartStack

from .playing import play

MINUTES = float(os.environ.get("PENSTOCK_VERIFY_MINUTES") or ("3" if os.environ.get("CI") else "1"))
#: Another one every day; a failure prints it.
SEED = int(os.environ.get("PENSTOCK_VERIFY_SEED") or 1000 * (int(time.time()) // 86_400))
PAUSE = (3.0, 10.0)


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
