"""The official SDKs, unchanged, run every scenario: results, errors, steps and calls are exactly those of the table."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from .app_process import gap_seconds, wait_until
from .conftest import RunningSdk
from .scenario import Scenario
from .scenarios import CHECKPOINTED, DATA, scenarios_of
from .sdks import SDKS
from .server import Server

#: The first use of an SDK may have to build its app.
pytestmark = pytest.mark.timeout(700)

#: A gap may be this much longer than asked for, on a machine that does much else.
LATE_SECONDS = 10.0

PAIRS = [pytest.param(sdk.name, each, id=f"{sdk.name}-{each.name}") for sdk in SDKS for each in scenarios_of(sdk.name)]


@pytest.mark.parametrize(("sdk", "scenario"), PAIRS, indirect=["sdk"], scope="session")
def test_a_scenario_runs_as_in_the_table(server: Server, sdk: RunningSdk, scenario: Scenario) -> None:
    """Status and result, each run of a step's code, the number of calls and the times are those of the scenario."""
    run = server.wait_run(sdk.events[scenario.name])
    for send in scenario.sends:
        wait_until(partial(sdk.app.entered, run, send.entered), f"{run} is entered {send.entered} times")
        server.send({"name": f"{sdk.app.name}/{send.name}", "data": send.data, "id": f"{sdk.app.name}-{send.own_id}"})
    outcome = server.wait_ended(run)
    if scenario.cancelled:
        assert outcome.status == "Cancelled", outcome
    elif scenario.error is None:
        assert (outcome.status, outcome.output) == ("Completed", scenario.output_of(sdk.app.name))
    else:
        assert outcome.status == "Failed", outcome
        assert scenario.error in outcome.message()
    counts = sdk.app.counts(outcome.run)
    calls = counts.pop("enter")
    assert counts == Counter(f"step:{step}" for step in scenario.steps)
    expected = CHECKPOINTED.get(scenario.name) if sdk.sdk.checkpoints else None
    assert calls == (expected or scenario.calls_with(sdk.sdk.name))
    if scenario.gap is not None:
        gap = gap_seconds(sdk.app.journal(outcome.run), scenario.gap.earlier, scenario.gap.later)
        assert scenario.gap.seconds <= gap <= scenario.gap.seconds + LATE_SECONDS


@pytest.mark.parametrize("sdk", [sdk.name for sdk in SDKS], indirect=True, scope="session")
def test_a_function_sees_the_event_that_was_sent(server: Server, sdk: RunningSdk) -> None:
    """Name, the sender's own id and the data arrive as sent; the batch holds the one event."""
    outcome = server.wait_outcome(sdk.events["no-step"])
    name = f"{sdk.app.name}/no-step"
    assert outcome.output == {"name": name, "id": f"{sdk.app.name}-no-step", "data": DATA, "events": 1}
    assert sdk.app.counts(outcome.run) == Counter({"enter": 1})
