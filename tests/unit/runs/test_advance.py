"""Corners of the state machine that golden scripts do not reach."""

from __future__ import annotations

from penstock.messages.ids import FunctionKey, JobId, RunId
from penstock.messages.records import StartRun
from penstock.runs.advance import advance
from penstock.runs.facts import CallAnswered, JobDue, StartRequested
from penstock.runs.replies import parse_reply
from penstock.runs.run import Run
from penstock.runs.turn import Rules

T0 = 1_700_000_000_000
RULES = Rules()
HEADERS = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "1"}
START = StartRequested(StartRun(RunId("01J00000000000000000000000"), FunctionKey("app/fn"), ("{}",), ("e",), T0), 1)


def answered(run: Run | None, job: str, body: str) -> Run:
    fact = CallAnswered(JobId(job), 0, parse_reply(206, HEADERS, body.encode(), T0))
    after = advance(run, fact, T0, RULES).run
    assert after is not None
    return after


def test_a_sleep_whose_step_has_a_result_already() -> None:
    """Its end asks anew what comes next, by a job of its own: an answer to an earlier call can never answer it."""
    run = advance(None, START, T0, RULES).run
    run = answered(run, "discover/start", '[{"op":"StepRun","id":"a"},{"op":"Sleep","id":"c","name":"1s"}]')
    run = answered(run, "discover/a", '[{"op":"StepRun","id":"c","data":0}]')
    run = answered(run, "discover/c", "[]")
    assert list(run.jobs) == ["sleep/c"]
    woken = advance(run, JobDue(JobId("sleep/c")), T0 + 1000, RULES).run
    assert woken is not None
    assert list(woken.jobs) == ["discover/sleep/c"]
    assert woken.steps["c"].output == '{"data":0}'  # type: ignore[index]
