"""The wire protocol itself: what a call looks like, and what becomes of answers that no SDK gives on purpose."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .raw_app import Call, RawApp, Reply, Script, ops, ran
from .server import Outcome, Server


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[RawApp]:
    """An app without functions yet."""
    app = RawApp(server)
    yield app
    app.close()


def outcome_of(server: Server, app: RawApp, script: Script, retries: int = 0) -> tuple[Outcome, list[Call]]:
    """How a run of the script ended, and its calls."""
    outcome = server.wait_outcome(app.start(script, retries))
    return outcome, app.calls_of(outcome.run)


def one_step_then(reply: Reply) -> Script:
    return lambda call: reply if call.steps else ops(ran("a", 1))


def in_order(*replies: Reply) -> Script:
    """One reply per call."""
    left = list(replies)
    return lambda _call: left.pop(0)


def test_the_first_call_tells_everything_an_sdk_reads(server: Server, app: RawApp) -> None:
    """URL, query, headers and body are those of the protocol, down to the types."""
    event = app.start(lambda _call: Reply(200, "done"), retries=2, data={"n": 1})
    [call] = app.calls_of(server.wait_outcome(event).run)
    run = call.headers["x-run-id"]
    assert call.path == "/api/inngest"
    assert call.query == {"fnId": call.query["fnId"], "kept": "yes", "stepId": "step"}
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-inngest-req-version"] == "-1"
    assert call.headers["x-inngest-step-id"] == "step"
    assert len(call.headers["x-request-id"]) == 26
    assert call.headers["traceparent"]
    assert "x-inngest-server-kind" not in call.headers
    body = call.body
    ctx = body["ctx"]
    assert (ctx["run_id"], ctx["attempt"], ctx["max_attempts"], ctx["step_id"]) == (run, 0, 3, "step")
    assert ctx["stack"] == {"stack": [], "current": 0}
    assert ctx["disable_immediate_execution"] is ctx["use_api"] is body["use_api"] is False
    assert (body["steps"], body["version"]) == ({}, -1)
    assert body["events"] == [body["event"]]
    sent = body["event"]
    assert (sent["name"], sent["data"], sent["user"]) == (f"{app.name}/{call.function}", {"n": 1}, {})
    assert sent["id"]
    assert abs(sent["ts"] / 1000 - time.time()) < 60


def test_the_second_call_carries_the_first_steps_result(server: Server, app: RawApp) -> None:
    """Stack and steps grow together, and the SDK's own version is answered with."""
    outcome, calls = outcome_of(server, app, one_step_then(Reply(200, None)))
    assert (outcome.status, outcome.output) == ("Completed", None)
    assert len(calls) == 2
    assert calls[1].steps == {"a": {"data": 1}}
    assert calls[1].body["ctx"]["stack"] == {"stack": ["a"], "current": 1}
    assert (calls[1].body["version"], calls[1].headers["x-inngest-req-version"]) == (2, "2")
    assert calls[1].headers["x-request-id"] != calls[0].headers["x-request-id"]


def test_a_new_function_is_triggered_by_the_very_next_event(server: Server, app: RawApp) -> None:
    """What a sync was told has happened is true for the next request, twenty times in a row."""
    events = [app.start(lambda call: Reply(200, call.function)) for _ in range(20)]
    outputs = [server.wait_outcome(event).output for event in events]
    assert len(set(outputs)) == 20


def test_an_unknown_opcode_fails_the_run_and_names_it(server: Server, app: RawApp) -> None:
    """A newer SDK may ask for what this server does not know: that is said, not swallowed."""
    outcome, calls = outcome_of(server, app, lambda _call: ops({"op": "Teleport", "id": "a"}), retries=3)
    assert outcome.status == "Failed"
    assert "Teleport" in outcome.message()
    assert len(calls) == 1


def test_opcodes_are_read_in_any_case(server: Server, app: RawApp) -> None:
    """`STEPRUN` is `StepRun`."""
    script = in_order(ops({"op": "STEPRUN", "id": "a", "data": 5}), Reply(200, "done"))
    outcome, calls = outcome_of(server, app, script)
    assert outcome.output == "done"
    assert calls[1].steps == {"a": {"data": 5}}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_with_method_and_body(server: Server, app: RawApp, status: int) -> None:
    """An app behind a redirect gets the same POST."""

    def script(call: Call) -> Reply:
        if call.path == "/api/inngest":
            query = "&".join(f"{name}={value}" for name, value in call.query.items())
            return Reply(status, None, {"location": f"/elsewhere?{query}"}, from_sdk=False)
        return Reply(200, call.body["event"]["name"])

    outcome, calls = outcome_of(server, app, script)
    assert outcome.output == f"{app.name}/{calls[0].function}"
    assert [call.path for call in calls] == ["/api/inngest", "/elsewhere"]
    assert calls[0].raw == calls[1].raw


def test_redirects_without_end_fail_the_attempt(server: Server, app: RawApp) -> None:
    """A loop is a failure like any other, with its reason."""
    outcome, _ = outcome_of(
        server, app, lambda call: Reply(307, None, {"location": f"{call.path}?fnId={call.query['fnId']}"})
    )
    assert outcome.status == "Failed"
    assert "redirect" in outcome.message()


def test_200_from_something_that_is_no_sdk_is_a_failed_attempt(server: Server, app: RawApp) -> None:
    """A proxy's friendly page does not end a run as completed."""
    page = Reply(200, b"<html>hello</html>", {"content-type": "text/html"}, from_sdk=False)
    outcome, calls = outcome_of(server, app, lambda _call: page, retries=1)
    assert outcome.status == "Failed"
    assert "x-inngest-sdk" in outcome.message()
    assert len(calls) == 2


def test_500_from_something_that_is_no_sdk_is_a_failed_attempt(server: Server, app: RawApp) -> None:
    """A crashed server in front of the app is reported as such and tried again."""
    page = Reply(500, b"<html>oops</html>", {"content-type": "text/html"}, from_sdk=False)
    outcome, calls = outcome_of(server, app, in_order(page, Reply(200, "recovered")), retries=1)
    assert outcome.output == "recovered"
    assert [call.attempt for call in calls] == [0, 1]
    outcome, _ = outcome_of(server, app, lambda _call: page)
    assert outcome.output["name"] == "Server returned a fatal error"


def test_4xx_is_retried_unless_the_sdk_says_no(server: Server, app: RawApp) -> None:
    """The status does not decide over retries, the header does."""
    bad = {"name": "Error", "message": "bad"}
    outcome, calls = outcome_of(server, app, in_order(Reply(400, bad), Reply(200, "recovered")), retries=3)
    assert (outcome.output, len(calls)) == ("recovered", 2)
    final = Reply(400, bad, {"x-inngest-no-retry": "true"})
    outcome, calls = outcome_of(server, app, lambda _call: final, retries=3)
    assert (outcome.status, outcome.output, len(calls)) == ("Failed", bad, 1)


def test_a_step_error_that_says_no_retry_is_final(server: Server, app: RawApp) -> None:
    """The step has failed for good; its error is remembered as sent, with data and cause, for user code to catch."""
    error = {"name": "E", "message": "m", "stack": "s", "data": None, "cause": {"a": [1]}}

    def script(call: Call) -> Reply:
        failed = {"op": "StepError", "id": "a", "error": error}
        return Reply(200, call.steps["a"]) if call.steps else ops(failed, x_inngest_no_retry="true")

    outcome, calls = outcome_of(server, app, script, retries=3)
    assert (outcome.output, len(calls)) == ({"error": error}, 2)


def test_a_date_to_retry_after_is_kept(server: Server, app: RawApp) -> None:
    """`retry-after` may be an HTTP date."""
    times: list[float] = []

    def script(call: Call) -> Reply:
        times.append(time.time())
        at = email.utils.formatdate(time.time() + 3, usegmt=True)
        return Reply(500, {"message": "later"}, {"retry-after": at}) if call.attempt == 0 else Reply(200, "done")

    outcome, _ = outcome_of(server, app, script, retries=1)
    assert outcome.output == "done"
    assert times[1] - times[0] >= 1.9


@pytest.mark.parametrize(
    "streamed",
    [
        {"status": 200, "body": '{"a": 1}', "headers": {}},
        {"status": 200, "body": {"a": 1}, "headers": {}},
    ],
    ids=["encoded-twice", "plain"],
)
def test_a_streamed_answer_is_unwrapped(server: Server, app: RawApp, streamed: dict[str, Any]) -> None:
    """201 keeps the connection alive with blanks; the answer proper follows in a wrapper."""
    outcome, _ = outcome_of(server, app, lambda _call: Reply(201, b"   \n " + json.dumps(streamed).encode()))
    assert outcome.output == {"a": 1}


def test_a_streamed_failure_says_whether_to_retry(server: Server, app: RawApp) -> None:
    """The Go SDK puts `noRetry` into the wrapper: it counts like the header."""
    wrapped = {"status": 500, "body": "error calling function: never", "noRetry": True}
    outcome, calls = outcome_of(server, app, lambda _call: Reply(201, wrapped), retries=3)
    assert (outcome.status, len(calls)) == ("Failed", 1)
    assert "never" in outcome.message()


def test_run_complete_ends_a_run(server: Server, app: RawApp) -> None:
    """An SDK that checkpoints ends with an opcode, alone or after the steps it still had; a single object will do."""
    done = {"op": "RunComplete", "id": "complete", "data": {"a": 1}}
    assert outcome_of(server, app, lambda _call: Reply(206, done))[0].output == {"a": 1}
    outcome, calls = outcome_of(server, app, lambda _call: ops(ran("a", 1), done))
    assert (outcome.output, len(calls)) == ({"a": 1}, 1)


def test_an_answer_that_asks_for_nothing_is_asked_again(server: Server, app: RawApp) -> None:
    """`[]` when nothing is under way is tried again as often as a failure, and then fails: no run hangs."""
    outcome, calls = outcome_of(server, app, in_order(ops(), Reply(200, "done")), retries=1)
    assert (outcome.output, len(calls)) == ("done", 2)
    outcome, calls = outcome_of(server, app, lambda _call: ops({"op": "None"}), retries=2)
    assert (outcome.status, len(calls)) == ("Failed", 3)


def test_a_step_planned_twice_is_called_once(server: Server, app: RawApp) -> None:
    """The same plan in one answer, or in two, is one call with the step's id."""
    plans = [{"op": "StepPlanned", "id": step} for step in ("a", "b", "a")]

    def script(call: Call) -> Reply:
        if call.step != "step":
            return ops(ran(call.step, call.step))
        return ops(*plans) if len(call.steps) < 2 else Reply(200, sorted(call.steps))

    outcome, calls = outcome_of(server, app, script)
    assert outcome.output == ["a", "b"]
    assert sorted(call.step for call in calls) == ["a", "b", "step", "step"]


def test_200_null_to_a_call_for_a_step_does_not_end_the_run(server: Server, app: RawApp) -> None:
    """The Go SDK answers so when it does not find the step: that is a failed attempt of this call."""

    def script(call: Call) -> Reply:
        if call.step == "step":
            return (
                ops({"op": "StepPlanned", "id": "a"}, {"op": "StepPlanned", "id": "b"})
                if not call.steps
                else Reply(200, "end")
            )
        return Reply(200, None) if call.attempt == 0 else ops(ran(call.step, 1))

    outcome, calls = outcome_of(server, app, script, retries=1)
    assert outcome.output == "end"
    assert len(calls) == 6


def test_an_old_steps_data_is_kept_verbatim(server: Server, app: RawApp) -> None:
    """`Step` brings its own wrapping."""
    outcome, calls = outcome_of(
        server, app, in_order(ops({"op": "Step", "id": "a", "data": {"data": [1]}}), Reply(200, 1))
    )
    assert (outcome.status, calls[1].steps) == ("Completed", {"a": {"data": [1]}})


@pytest.mark.parametrize(
    "sleep",
    [{"name": "1s"}, {"name": "nap", "opts": {"duration": "1000ms"}}, {"name": "2001-01-01T00:00:00Z"}],
    ids=["name", "opts", "past"],
)
def test_a_sleep_is_read_as_each_sdk_writes_it(server: Server, app: RawApp, sleep: dict[str, Any]) -> None:
    """A duration or date in `name`, or `opts.duration`; a date that has passed wakes at once. The memo is null."""
    outcome, calls = outcome_of(server, app, in_order(ops({"op": "Sleep", "id": "a", **sleep}), Reply(200, "awake")))
    assert (outcome.output, calls[1].steps) == ("awake", {"a": None})


def test_a_sleep_that_cannot_be_read_fails_the_run(server: Server, app: RawApp) -> None:
    """It would sleep for ever, or not at all: neither is what the user wrote."""
    outcome, _ = outcome_of(server, app, lambda _call: ops({"op": "Sleep", "id": "a", "name": "soon"}))
    assert outcome.status == "Failed"
    assert "soon" in outcome.message()


def test_many_results_in_one_answer_are_one_discovery(server: Server, app: RawApp) -> None:
    """A thousand steps fit into a run."""

    def script(call: Call) -> Reply:
        done = len(call.steps)
        return ops(*(ran(f"s{n}", n) for n in range(done, done + 500))) if done < 1000 else Reply(200, done)

    outcome, calls = outcome_of(server, app, script)
    assert (outcome.output, len(calls)) == (1000, 3)
    assert calls[2].body["ctx"]["stack"]["current"] == 1000


def test_more_than_a_thousand_steps_fail_the_run(server: Server, app: RawApp) -> None:
    """The error names the limit, and nothing is retried."""

    def script(call: Call) -> Reply:
        done = len(call.steps)
        return ops(*(ran(f"s{n}", n) for n in range(done, done + 501)))

    outcome, calls = outcome_of(server, app, script, retries=3)
    assert (outcome.status, outcome.output["name"]) == ("Failed", "InngestErrFunctionOverflowed")
    assert "1000" in outcome.message()
    assert len(calls) == 2


def test_an_answer_larger_than_allowed_fails_the_run(server: Server, app: RawApp) -> None:
    """8 MiB is the most that an app may answer."""
    outcome, calls = outcome_of(server, app, lambda _call: Reply(200, "x" * (8 * 1024 * 1024)), retries=3)
    assert outcome.status == "Failed"
    assert "8 MiB" in outcome.message()
    assert len(calls) == 1


def test_more_state_than_allowed_fails_the_run(server: Server, app: RawApp) -> None:
    """32 MiB is the most that the steps of a run may return together."""
    part = "x" * (4 * 1024 * 1024 - 100)
    count = iter(range(1000))
    outcome, calls = outcome_of(server, app, lambda _call: ops(ran(f"s{next(count)}", part)))
    assert (outcome.status, outcome.output["name"]) == ("Failed", "InngestErrStateOverflowed")
    assert 8 <= len(calls) <= 10


def test_state_too_large_for_a_call_is_fetched(server: Server, app: RawApp) -> None:
    """`use_api` in both places tells the SDK to fetch steps and events; when the run has ended they are gone."""
    part = "x" * 3_000_000
    fetched: list[Any] = []

    def script(call: Call) -> Reply:
        if not call.body["use_api"]:
            return ops(ran(f"s{len(call.steps)}", part))
        run = call.headers["x-run-id"]
        fetched.append(call.body)
        fetched.append(server.http.get(f"/v0/runs/{run}/actions").json())
        fetched.append(server.http.get(f"/v0/runs/{run}/batch").json())
        return Reply(200, "done")

    outcome, calls = outcome_of(server, app, script)
    assert (outcome.output, len(calls)) == ("done", 3)
    body, actions, batch = fetched
    assert (body["ctx"]["use_api"], body["steps"], body["events"]) == (True, {}, [])
    assert body["ctx"]["stack"] == {"stack": ["s0", "s1"], "current": 2}
    assert actions == {"s0": {"data": part}, "s1": {"data": part}}
    assert batch == [body["event"]]
    gone = server.http.get(f"/v0/runs/{outcome.run}/actions")
    assert (gone.status_code, gone.json()["status"]) == (410, 410)
    assert gone.json()["error"]
    assert server.http.get("/v0/runs/nonsense/batch").status_code == 400
