"""Checkpoints: steps that an app reports while its call goes on, as the TypeScript SDK does by default."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.stack import wait_until

from .raw_app import Call, RawApp, Reply, ops, ran
from .server import Server

ERROR = {"name": "Error", "message": "it broke after its checkpoint"}


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[RawApp]:
    """An app without functions yet."""
    app = RawApp(server)
    yield app
    app.close()


def report(server: Server, call: Call, *steps: dict[str, Any], **changes: object) -> httpx.Response:
    """Report steps of a call as the SDK does; `changes` replace what it says about the call, None leaves it out."""
    run, ctx = call.headers["x-run-id"], call.body["ctx"]
    said = {
        "run_id": run,
        "fn_id": ctx["fn_id"],
        "qi_id": ctx["qi_id"],
        "request_id": ctx["request_id"],
        "generation_id": ctx["generation_id"],
        "request_started_at": int(time.time() * 1000),
        "steps": list(steps),
        "ts": int(time.time() * 1000),
        **changes,
    }
    said = {key: value for key, value in said.items() if value is not None}
    return httpx.post(f"{server.url}/v1/checkpoint/{run}/async", json=said, timeout=20.0)


def test_a_reported_step_is_the_runs_memory_at_once(server: Server, app: RawApp) -> None:
    """Answered when it is kept: while the call still goes on, the run's memory has the step."""
    seen: list[Any] = []

    def script(call: Call) -> Reply:
        seen.append(report(server, call, ran("a", 1)).status_code)
        seen.append(server.http.get(f"/v0/runs/{call.headers['x-run-id']}/actions").json())
        return Reply(206, [{"op": "RunComplete", "id": "end", "data": "done"}])

    outcome = server.wait_outcome(app.start(script))
    assert (outcome.output, seen) == ("done", [200, {"a": {"data": 1}}])
    assert len(app.calls_of(outcome.run)) == 1


def test_a_report_sent_again_is_taken_once(server: Server, app: RawApp) -> None:
    """An SDK that did not see the answer reports again, and may name the step in its answer, too: the first counts."""

    def script(call: Call) -> Reply:
        if call.steps:
            return Reply(200, call.steps)
        assert [report(server, call, ran("a", n)).status_code for n in range(2)] == [200, 200]
        return ops(ran("a", 2), ran("b", 3))

    outcome = server.wait_outcome(app.start(script))
    assert outcome.output == {"a": {"data": 0}, "b": {"data": 3}}
    assert len(app.calls_of(outcome.run)) == 2


def test_what_was_reported_before_a_failure_is_not_lost(server: Server, app: RawApp) -> None:
    """The next attempt of the call knows the steps. A call that got somewhere starts counting its attempts anew."""

    def script(call: Call) -> Reply:
        done = len(call.steps)
        if done == 4:
            return Reply(200, call.steps)
        assert report(server, call, ran(f"s{done}", done)).status_code == 200
        return Reply(500, ERROR)

    outcome = server.wait_outcome(app.start(script, retries=1))
    assert outcome.output == {f"s{n}": {"data": n} for n in range(4)}
    assert len(app.calls_of(outcome.run)) == 5


def test_a_call_that_gets_nowhere_after_its_report_fails(server: Server, app: RawApp) -> None:
    """Attempts begin again with progress, not without it: a function that always breaks in one place fails."""

    def script(call: Call) -> Reply:
        if not call.steps:
            report(server, call, ran("a", 1))
        return Reply(500, ERROR)

    outcome = server.wait_outcome(app.start(script, retries=1))
    assert (outcome.status, outcome.message()) == ("Failed", ERROR["message"])
    assert len(app.calls_of(outcome.run)) == 2


def test_a_report_need_not_name_its_request(server: Server, app: RawApp) -> None:
    """The Go SDK names the job alone: that will do while a call for the job is under way, and not afterwards."""
    calls: list[Call] = []

    def script(call: Call) -> Reply:
        calls.append(call)
        assert report(server, call, ran("a", 1), request_id=None).status_code == 200
        return Reply(206, [{"op": "RunComplete", "id": "end", "data": "done"}])

    assert server.wait_outcome(app.start(script)).output == "done"
    assert report(server, calls[0], ran("b", 1), request_id=None).status_code == 409


def test_a_stale_dispatch_is_told_so(server: Server, app: RawApp) -> None:
    """409 for a request, job or run that is not the one under way; nothing of it is kept."""
    seen: list[int] = []
    first: list[Call] = []

    def script(call: Call) -> Reply:
        if call.steps:
            seen.append(report(server, first[0], ran("late", 1)).status_code)
            return Reply(200, sorted(call.steps))
        first.append(call)
        seen.append(report(server, call, ran("b", 1), request_id="01J00000000000000000000000").status_code)
        seen.append(report(server, call, ran("b", 1), qi_id="discover/elsewhere").status_code)
        return ops(ran("a", 1))

    outcome = server.wait_outcome(app.start(script))
    assert (outcome.output, seen) == (["a"], [409, 409, 409])
    assert report(server, first[0], ran("after the end", 1)).status_code == 409


def test_a_cancelled_run_takes_no_more_reports(server: Server, app: RawApp) -> None:
    """The app that still works for a cancelled run hears 409, and can stop."""
    seen: list[int] = []

    def script(call: Call) -> Reply:
        server.cancel(call.headers["x-run-id"])
        seen.append(report(server, call, ran("a", 1)).status_code)
        return Reply(200, None)

    assert server.wait_outcome(app.start(script)).status == "Cancelled"
    wait_until(lambda: seen, 30, "the app's report is answered")
    assert seen == [409]


def test_reported_groups_are_waited_for(server: Server, app: RawApp) -> None:
    """Planned steps that report instead of answering count like others: one discovery when all are done."""

    def script(call: Call) -> Reply:
        if call.step != "step":
            assert report(server, call, ran(call.step, call.step)).status_code == 200
            return ops(ran(call.step, call.step))
        if call.steps:
            return Reply(200, sorted(call.steps))
        return ops({"op": "StepPlanned", "id": "a"}, {"op": "StepPlanned", "id": "b"})

    outcome = server.wait_outcome(app.start(script))
    assert outcome.output == ["a", "b"]
    assert sorted(call.step for call in app.calls_of(outcome.run)) == ["a", "b", "step", "step"]


@pytest.mark.parametrize(
    "said",
    [{"steps": [{"op": "StepError", "id": "a", "error": ERROR}]}, {"steps": "a"}, {"qi_id": None}, {"steps": [{}]}],
    ids=["an op that decides", "no list", "no job", "no op"],
)
def test_what_is_no_checkpoint_is_refused(server: Server, app: RawApp, said: dict[str, Any]) -> None:
    """400 with the reason; the SDK then answers the call with its steps, and nothing is lost."""
    refused: list[httpx.Response] = []

    def script(call: Call) -> Reply:
        refused.append(report(server, call, **said))
        return Reply(200, "done")

    assert server.wait_outcome(app.start(script)).output == "done"
    assert refused[0].status_code == 400
    assert json.loads(refused[0].text)["error"]
