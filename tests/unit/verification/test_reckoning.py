"""What is wrong with a run is found; what is right is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock.messages.ids import FunctionKey, RunId, StepId
from penstock.messages.records import RunEnded, RunStarted, StepFinished
from penstock.verification.programs import RETRIES, Program, Step
from penstock.verification.reckoning import SeenRun, agrees, judge, judge_roots

RUN = RunId("01M82RGTG5JSHVQ5TMVAKRSXBQ")
PROGRAMS = (Program(0, ((Step("a", "run"), Step("b", "run", fails=RETRIES + 1)), (Step("c", "sleep"),))),)


def started(k: int = 7, parent: str = "") -> RunStarted:
    event = json.dumps({"data": {"k": k}})
    return RunStarted(RUN, FunctionKey("app/app-f0"), 1, (event,), (), RETRIES, 0, 0, parent_run=parent)


def finished(step: str, output: str, failed: bool = False) -> StepFinished:
    return StepFinished(RUN, StepId(step), 0, "StepRun", step, output, 0, 0, failed)


def as_it_must_be() -> SeenRun:
    steps = {"a": finished("a", '{"data":"did a"}'), "b": finished("b", '{"error":{}}', failed=True)}
    return SeenRun(started(), RunEnded(RUN, "Failed", "{}", 0, 0), steps)


def test_a_run_as_its_program_says_is_right() -> None:
    assert judge(as_it_must_be(), PROGRAMS, tainted=False) == []


def test_every_way_to_be_wrong_is_found() -> None:
    """No end, another end, a result that is missing, wrong, or of a step that must not run."""
    run = as_it_must_be()
    wrong = [
        SeenRun(run.started, None, run.steps),
        SeenRun(run.started, RunEnded(RUN, "Completed", "{}", 0, 0), run.steps),
        SeenRun(run.started, run.end, {"a": run.steps["a"]}),
        SeenRun(run.started, run.end, {**run.steps, "a": finished("a", '{"data":"did c"}')}),
        SeenRun(run.started, run.end, {**run.steps, "b": replace(run.steps["b"], failed=False)}),
        SeenRun(run.started, run.end, {**run.steps, "c": finished("c", "null")}),
    ]
    for each in wrong:
        assert len(judge(each, PROGRAMS, tainted=False)) == 1


def test_a_run_that_was_to_be_cancelled_may_be() -> None:
    """Or it was quicker; but it has ended."""
    run = as_it_must_be()
    for status in ("Cancelled", "Failed"):
        run.end = RunEnded(RUN, status, "{}", 0, 0)
        assert judge(run, PROGRAMS, tainted=True) == []
    run.end = RunEnded(RUN, "Completed", "{}", 0, 0)
    assert judge(run, PROGRAMS, tainted=True) != []
    run.end = None
    assert judge(run, PROGRAMS, tainted=True) != []


def test_each_event_starts_one_run() -> None:
    """None and two are found; runs that others invoked are not counted."""
    one, other, invoked = SeenRun(started(1)), SeenRun(started(2)), SeenRun(started(1000, parent=RUN))
    assert judge_roots([one, other, invoked], [1, 2]) == []
    assert "none for [2]" in judge_roots([one], [1, 2])[0]
    assert "more than one for [1]" in judge_roots([one, one, other], [1, 2])[0]
    assert judge_roots([one, other], [1]) != []


@pytest.mark.parametrize(
    ("memo", "value", "fits"),
    [
        ({"data": {"name": "x", "data": {"go": True}}}, "answer", True),
        ({"data": {"go": True}}, "answer", True),
        ({"data": {"data": {"go": False}}}, "answer", False),
        (None, "answer", False),
        (None, None, True),
        ({"data": None}, None, False),
        ({"error": {"message": "x"}}, "error", True),
        ({"data": "done"}, "error", False),
        ({"data": "done"}, "result", True),
        ({"data": "did a"}, "did a", True),
        ({"data": "did b"}, "did a", False),
    ],
)
def test_a_memory_is_held_to_the_model(memo: object, value: object, fits: bool) -> None:
    """In the form in which SDKs are sent it."""
    assert agrees(memo, value) is fits
