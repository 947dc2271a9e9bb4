"""What is wrong with a run is found; what is right is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock.messages.ids import FunctionKey, RunId, StepId
from penstock.messages.records import RunEnded, RunStarted, StepFinished
from penstock.verification.programs import RETRIES, Program, Step, child_key
from penstock.verification.reckoning import Cancels, SeenRun, agrees, judge, judge_children, judge_roots

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
    assert judge(as_it_must_be(), PROGRAMS, Cancels()) == []


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
        assert len(judge(each, PROGRAMS, Cancels())) == 1


def test_a_run_that_was_to_be_cancelled_has_got_as_far_as_it_has() -> None:
    """Or it was quicker; but it has ended, and the steps that it has are its program's."""
    run, cancels = as_it_must_be(), Cancels(asked={7}, tainted={7})
    assert judge(run, PROGRAMS, cancels) == []
    cut = SeenRun(run.started, RunEnded(RUN, "Cancelled", "{}", 0, 0), {"a": run.steps["a"]})
    assert judge(cut, PROGRAMS, cancels) == []
    wrong = [
        SeenRun(run.started, None, run.steps),
        SeenRun(run.started, RunEnded(RUN, "Completed", '"done"', 0, 0), run.steps),
        replace(cut, steps={"a": finished("a", '{"data":"did c"}')}),
        replace(cut, steps={"c": finished("c", "null")}),
    ]
    assert [len(judge(each, PROGRAMS, cancels)) for each in wrong] == [1, 1, 1, 1]


def test_a_cancellation_that_was_accepted_is_one() -> None:
    """Whoever was told that a run is cancelled can rely on it; who has not asked gets none."""
    run, accepted = as_it_must_be(), Cancels(asked={7}, accepted={7}, tainted={7})
    assert "was cancelled, as was said" in judge(run, PROGRAMS, accepted)[0]
    run.end = RunEnded(RUN, "Cancelled", "{}", 0, 0)
    assert judge(run, PROGRAMS, accepted) == []
    assert judge(run, PROGRAMS, Cancels(tainted={7})) != []


def test_only_the_event_that_cancels_it_ends_a_run_that_waits_for_nothing_else() -> None:
    program = Program(0, ((Step("a", "run"),), (Step("b", "wait", seconds=9, stopped=True),)), cancellable=True)
    run = SeenRun(started(), RunEnded(RUN, "Cancelled", "{}", 0, 0), {"a": finished("a", '{"data":"did a"}')})
    assert judge(run, [program], Cancels()) == []
    assert judge(replace(run, steps={}), [program], Cancels()) != []
    assert judge(replace(run, end=RunEnded(RUN, "Completed", '"done"', 0, 0)), [program], Cancels()) != []


def test_what_a_run_returns_is_held_to_the_model() -> None:
    program = Program(0, ((Step("a", "run"),),))
    run = SeenRun(started(), RunEnded(RUN, "Completed", '"done"', 0, 0), {"a": finished("a", '{"data":"did a"}')})
    assert judge(run, [program], Cancels()) == []
    run.end = RunEnded(RUN, "Completed", "null", 0, 0)
    assert len(judge(run, [program], Cancels())) == 1


@pytest.mark.parametrize("step", [Step("a", "sleep", seconds=3), Step("a", "wait", seconds=3)])
def test_a_sleep_or_a_timeout_that_ends_early_is_found(step: Step) -> None:
    """By the times that its changelog has."""
    program, end = Program(0, ((step,),)), RunEnded(RUN, "Completed", '"done"', 0, 0)
    early, late = (replace(finished("a", "null"), ended_at=ms) for ms in (2999, 3000))
    assert judge(SeenRun(started(), end, {"a": late}), [program], Cancels()) == []
    assert len(judge(SeenRun(started(), end, {"a": early}), [program], Cancels())) == 1


def test_each_step_that_invokes_starts_one_run() -> None:
    """None, two, and one of nobody are found; a run that invoked a cancelled one is held to what it was told."""
    step = Step("p0g0s0", "invoke", function=1)
    programs = [Program(0, ((step,),)), Program(1, ((Step("p1g0s0", "run"),),))]
    end = RunEnded(RUN, "Completed", '"done"', 0, 0)
    parent = SeenRun(started(), end, {step.id: finished(step.id, '{"data":"done"}')})
    child = SeenRun(
        replace(started(child_key(7, step), RUN), run_id=RunId("child"), function=FunctionKey("app/app-f1"))
    )
    assert judge_children([parent, child], programs, Cancels()) == []
    other = replace(child, started=replace(child.started, run_id=RunId("other")))
    foreign = replace(child, started=replace(child.started, parent_run="nobody"))
    for wrong in ([parent], [parent, child, other], [parent, child, foreign]):
        assert len(judge_children(wrong, programs, Cancels())) == 1
    failed = SeenRun(
        started(), RunEnded(RUN, "Failed", "{}", 0, 0), {step.id: finished(step.id, '{"error":{}}', failed=True)}
    )
    cancels = Cancels()
    cancels.ask(child.k)
    assert judge(failed, programs, Cancels()) != []
    assert judge(failed, programs, cancels) == []


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
