"""The benchmark's app against the protocol."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from benchmarks.app import STEPS, App, answer, next_step, registration


def memo(*steps: str) -> dict[str, Any]:
    return {"steps": {step: {"data": None} for step in steps}}


def test_steps_run_in_order() -> None:
    """The first step that the call does not remember is next; none is left at the end."""
    first, second, third = STEPS["three"]
    assert next_step("three", "step", memo()) == 0
    assert next_step("three", "step", memo(first)) == 1
    assert next_step("three", "step", memo(first, second)) == 2
    assert next_step("three", "step", memo(first, second, third)) is None
    assert next_step("one", "step", memo(STEPS["one"][0])) is None


def test_a_targeted_step_is_the_one_that_runs() -> None:
    """`stepId` names the step, whatever is remembered."""
    assert next_step("three", STEPS["three"][2], memo()) == 2


def test_a_step_is_answered_with_its_result() -> None:
    """206 with one StepRun under the hashed id."""
    status, body = answer("one", 0, planning=False)
    (operation,) = orjson.loads(body)
    assert status == 206
    assert (operation["op"], operation["id"]) == ("StepRun", hashlib.sha1(b"step-0").hexdigest())
    assert operation["data"] == {"step": 0}


def test_a_step_is_only_planned_where_it_must_not_run() -> None:
    """`disable_immediate_execution` asks for a plan."""
    status, body = answer("one", 0, planning=True)
    assert (status, orjson.loads(body)[0]["op"]) == (206, "StepPlanned")


def test_a_run_that_waits_asks_for_the_event_with_its_number() -> None:
    """206 with one WaitForEvent; with the event remembered the run is at its end."""
    status, body = answer("wait", 0, planning=False)
    (operation,) = orjson.loads(body)
    assert (status, operation["op"], operation["name"]) == (206, "WaitForEvent", "bench/resume")
    assert operation["opts"]["if"] == "async.data.n == event.data.n"
    assert next_step("wait", "step", memo(STEPS["wait"][0])) is None


def test_the_end_is_a_200() -> None:
    """No step left: the function's result."""
    assert answer("three", None, planning=False) == (200, b'"done"')


def test_every_call_is_noted_once() -> None:
    """Event number and step go into the records; a plan is no step."""
    app, replies = App("", ""), []
    for planning in (False, True):
        body = {"event": {"data": {"n": 5}}, "use_api": False, "steps": {}}
        body["ctx"] = {"disable_immediate_execution": planning}
        app.call("fnId=penstock-bench-one&stepId=step", orjson.dumps(body), 1, lambda *reply: replies.append(reply))
    assert [status for status, _ in replies] == [206, 206]
    assert len(app.calls.take()) == 4 * 8


@pytest.mark.parametrize("query", ["", "fnId=other&stepId=step"])
def test_an_unknown_function_is_404(query: str) -> None:
    """A server that calls something else is told so."""
    replies: list[tuple[int, bytes]] = []
    App("", "").call(query, b"{}", 1, lambda *reply: replies.append(reply))
    assert replies[0][0] == 404


def test_the_registration_names_all_functions() -> None:
    """Composite slugs, one event trigger each, and a URL with fnId and step."""
    one, three, *_ = registration("http://127.0.0.1:1/api/inngest")["functions"]
    assert (one["id"], three["id"]) == ("penstock-bench-one", "penstock-bench-three")
    assert one["triggers"] == [{"event": "bench/one"}]
    url = one["steps"]["step"]["runtime"]["url"]
    assert url == "http://127.0.0.1:1/api/inngest?fnId=penstock-bench-one&stepId=step"


def test_what_the_soak_mixes_in_sleeps_fails_once_or_fails_for_good() -> None:
    """A sleep, a step that is repeated, and a function that never succeeds."""
    assert orjson.loads(answer("sleep", 0, planning=False)[1])[0]["op"] == "Sleep"
    operations = [orjson.loads(answer("retry", 0, False, attempt)[1])[0]["op"] for attempt in (0, 1)]
    assert operations == ["StepError", "StepRun"]
    assert answer("fail", 0, planning=False)[0] == 500
