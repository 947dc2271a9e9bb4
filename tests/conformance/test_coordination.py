"""Runs that act on each other: children, signals, one event for many runs, the events that tell of a run's end."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .app_process import wait_until
from .conftest import RunningSdk
from .server import Server

#: The first use of an SDK may have to build its app.
pytestmark = pytest.mark.timeout(700)

PYTHONS = ("python-fastapi", "python-flask")
TYPESCRIPTS = ("typescript", "typescript-plain")
MANY = 20


def each(*names: str) -> pytest.MarkDecorator:
    """The test, with each of these SDKs."""
    return pytest.mark.parametrize("sdk", names, indirect=True, scope="session")


ALL = (*PYTHONS, *TYPESCRIPTS, "go-0.16")


def start(server: Server, sdk: RunningSdk, name: str, **data: Any) -> str:
    """Start the function; its run."""
    return server.wait_run(server.send({"name": f"{sdk.app.name}/{name}", "data": data})[0])


def noted(sdk: RunningSdk, run: str, what: str) -> str:
    """The rest of the note in the run's journal that begins with `what`, as soon as there is one."""

    def find() -> str | None:
        found = [str(line["what"]) for line in sdk.app.journal(run)]
        return next((each.partition(":")[2] for each in found if each.startswith(f"{what}:")), None)

    return str(wait_until(find, f"{run} notes {what}"))


@each(*ALL)
def test_sent_events_start_their_functions(server: Server, sdk: RunningSdk) -> None:
    """`send_event` gives the ids of its events, each of which has its run; the step is called once."""
    outcome = server.wait_ended(start(server, sdk, "send-events"))
    assert [server.wait_outcome(event).output for event in outcome.output] == [{"number": 0}, {"number": 1}]


def others_are_done(server: Server, sdk: RunningSdk) -> None:
    """The event that stops the sleeping children would also stop one that another scenario waits for."""
    if event := sdk.events.get("invoke-timeout"):
        server.wait_outcome(event)


@each(*ALL)
@pytest.mark.parametrize("how", ["by event", "by API"])
def test_a_cancelled_child_is_an_error_of_its_parent(server: Server, sdk: RunningSdk, how: str) -> None:
    """The parent does not wait for ever and is not given an empty result: it hears that the child was cancelled."""
    others_are_done(server, sdk)
    parent = start(server, sdk, "invoke-cancelled")
    child = noted(sdk, parent, "child")
    if how == "by event":
        server.send({"name": f"{sdk.app.name}/child-asleep.stop"})
    else:
        assert server.cancel(child).status_code in (200, 202)
    outcome = server.wait_ended(parent)
    assert outcome.status == "Completed"
    assert outcome.output["caught"] == f"the invoked run {child} did not complete: it ended as Cancelled"
    assert server.wait_ended(child).status == "Cancelled"


@each(*ALL)
def test_a_cancelled_parent_leaves_its_child_alone(server: Server, sdk: RunningSdk) -> None:
    """The invoked run goes on by itself; only its result is nobody's any more."""
    others_are_done(server, sdk)
    parent = start(server, sdk, "invoke-cancelled")
    child = noted(sdk, parent, "child")
    assert server.cancel(parent).status_code in (200, 202)
    assert server.wait_ended(parent).status == "Cancelled"
    assert server.run(child).status == "Running"
    server.send({"name": f"{sdk.app.name}/child-asleep.stop"})
    assert server.wait_ended(child).status == "Cancelled"


@each(*ALL)
def test_one_event_resumes_all_that_wait_for_it(server: Server, sdk: RunningSdk) -> None:
    """Each of many runs gets the event once; runs whose condition does not hold go on waiting."""
    group = secrets.token_hex(4)
    started = [{"name": f"{sdk.app.name}/wait-many", "data": {"group": group}} for _ in range(MANY)]
    runs = [server.wait_run(event) for event in server.send(*started)]
    other = start(server, sdk, "wait-many", group="another")
    for run in (*runs, other):
        wait_until(lambda run=run: sdk.app.entered(run, 1), f"{run} is entered")
    own_id = f"{group}-go"
    server.send({"name": f"{sdk.app.name}/wait-many.go", "data": {"group": group}, "id": own_id})
    for run in runs:
        assert server.wait_ended(run).output["id"] == own_id
        assert sdk.app.counts(run) == Counter(enter=2)
    assert server.run(other).status == "Running"
    assert server.cancel(other).status_code in (200, 202)


@each(*PYTHONS, *TYPESCRIPTS)
def test_the_failure_function_is_told_what_failed(server: Server, sdk: RunningSdk) -> None:
    """Its event names function and run and carries the run's own event and the error, in the shape that SDKs read."""
    event = {"name": f"{sdk.app.name}/on-failure", "id": secrets.token_hex(8), "data": {"n": 7}, "user": {"id": "u1"}}
    run = server.wait_run(server.send(event)[0])
    outcome = server.wait_ended(run)
    assert outcome.status == "Failed"
    told = server.wait_ended(noted(sdk, run, "failure")).output
    assert set(told) == {"function_id", "run_id", "event", "events", "error", "result", "_inngest"}
    assert (told["function_id"], told["run_id"]) == (f"{sdk.app.name}-on-failure", run)
    assert {key: told["event"][key] for key in event} == event
    assert told["events"] == [told["event"]]
    assert told["error"]["error"] == "invalid status code: 500"
    assert (told["error"]["message"], told["result"]) == ("it is broken", outcome.output)
    assert told["error"]["name"] == outcome.output["name"]
    assert told["_inngest"] == {"status": "Failed"}
    assert sum(line["what"].startswith("failure:") for line in sdk.app.journal(run)) == 1


ENDINGS = {
    "go": ("Completed", {"finished"}),
    "fail": ("Failed", {"finished", "failed"}),
    "sleep": ("Cancelled", {"finished", "cancelled"}),
}


@each(*ALL)
@pytest.mark.parametrize("what", ENDINGS)
def test_functions_are_told_of_the_ends_of_others(server: Server, sdk: RunningSdk, what: str) -> None:
    """`function.finished` follows every end, `failed` and `cancelled` theirs; each names the run and how it ended."""
    status, kinds = ENDINGS[what]
    run = start(server, sdk, "observed", what=what)
    if what == "sleep":
        wait_until(lambda: sdk.app.entered(run, 1), "it sleeps")
        server.send({"name": f"{sdk.app.name}/observed.stop"})
    assert server.wait_ended(run).status == status
    for kind in kinds:
        told = server.wait_ended(noted(sdk, run, kind)).output
        assert (told["function_id"], told["run_id"]) == (f"{sdk.app.name}-observed", run)
        assert told["_inngest"] == {"status": status}
        assert told["event"]["data"] == {"what": what}
        assert ("error" in told) is (what != "go")
        assert told["result"] == server.run(run).output
    told_of = {str(line["what"]).partition(":")[0] for line in sdk.app.journal(run)} - {"enter"}
    assert told_of == kinds


def send_signal(server: Server, signal: str, data: Any) -> str:
    """Send a signal as soon as a run waits for it; the run that it reached."""

    def sent() -> str | None:
        answer = server.http.post("/v1/signals", json={"signal": signal, "data": data})
        if answer.status_code == 404:
            assert signal in answer.json()["error"]
            return None
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["run_id"])

    return str(wait_until(sent, f"somebody waits for {signal}"))


def test_a_signal_that_nobody_waits_for_is_404(server: Server) -> None:
    """The sender hears that nobody was there; nothing is kept for later."""
    answer = server.http.post("/v1/signals", json={"signal": f"nobody-{secrets.token_hex(4)}", "data": 1})
    assert answer.status_code == 404
    assert answer.json()["error"]


@each(*TYPESCRIPTS, "go-0.16")
def test_a_signal_reaches_the_run_that_waits(server: Server, sdk: RunningSdk) -> None:
    """The data is the step's result; the sender learns the run; a second sending reaches nobody."""
    signal = secrets.token_hex(8)
    run = start(server, sdk, "signal", signal=signal)
    assert send_signal(server, signal, {"a": [1, None]}) == run
    assert server.wait_ended(run).output == {"signal": signal, "data": {"a": [1, None]}}
    assert sdk.app.counts(run) == Counter(enter=2)
    assert server.http.post("/v1/signals", json={"signal": signal, "data": 2}).status_code == 404


@each(*TYPESCRIPTS)
def test_a_step_sends_a_signal(server: Server, sdk: RunningSdk) -> None:
    """`step.sendSignal` reaches the run that waits."""
    signal = secrets.token_hex(8)
    waiting = start(server, sdk, "signal", signal=signal)
    wait_until(lambda: _waits(server, waiting), "it waits")
    assert server.wait_ended(start(server, sdk, "signal-sender", signal=signal)).output == "sent"
    assert server.wait_ended(waiting).output == {"signal": signal, "data": {"from": "a step"}}


def _waits(server: Server, run: str) -> bool:
    return bool(server.http.get(f"/v1/runs/{run}").json()["data"]["waiting_for"])


@each(*TYPESCRIPTS, "go-0.16")
def test_a_signal_has_one_run(server: Server, sdk: RunningSdk) -> None:
    """A second run that waits for it fails and is told which run is in the way; the first goes on waiting."""
    signal = secrets.token_hex(8)
    first = start(server, sdk, "signal", signal=signal)
    wait_until(lambda: _waits(server, first), "the first waits")
    second = server.wait_ended(start(server, sdk, "signal", signal=signal))
    assert second.status == "Failed"
    assert first in second.message()
    assert signal in second.message()
    assert send_signal(server, signal, 1) == first
    assert server.wait_ended(first).status == "Completed"


@each(*TYPESCRIPTS, "go-0.16")
def test_a_signal_may_be_taken_over(server: Server, sdk: RunningSdk) -> None:
    """With the rule `replace` the later run has the signal, and the earlier one waits no longer."""
    signal = secrets.token_hex(8)
    first = start(server, sdk, "signal", signal=signal)
    wait_until(lambda: _waits(server, first), "the first waits")
    second = start(server, sdk, "signal-replace", signal=signal)
    assert server.wait_ended(first).output is None
    assert send_signal(server, signal, 1) == second
    assert server.wait_ended(second).output == {"signal": signal, "data": 1}


@each(*ALL)
def test_a_function_is_invoked_by_name(server: Server, sdk: RunningSdk) -> None:
    """`POST /invoke/{slug}` starts one function with the data; the answer's id leads to its run."""
    answer = server.http.post(f"/invoke/{sdk.app.name}-child", json={"data": {"n": 4}})
    assert (answer.status_code, answer.json()["status"]) == (200, 200), answer.text
    outcome = server.wait_outcome(answer.json()["id"])
    assert outcome.output == {"doubled": 8, "by": "inngest/function.invoked"}


@each("python-fastapi")
def test_an_unknown_function_cannot_be_invoked_by_name(server: Server, sdk: RunningSdk) -> None:
    """404, naming what was asked for."""
    answer = server.http.post(f"/invoke/{sdk.app.name}-nowhere", json={"data": {}})
    assert answer.status_code == 404
    assert f"{sdk.app.name}-nowhere" in answer.json()["error"]


@each("python-fastapi")
def test_the_second_version_of_invoking_says_the_run(server: Server, sdk: RunningSdk) -> None:
    """`POST /v2/apps/{app}/functions/{function}/invoke` answers with the run; the same key again with the same run."""
    path = f"/v2/apps/{sdk.app.name}/functions/child/invoke"
    asked = {"data": {"n": 5}, "idempotency_key": secrets.token_hex(4)}
    answers = [server.http.post(path, json=asked) for _ in range(2)]
    assert [answer.status_code // 100 for answer in answers] == [2, 2], answers[0].text
    [run] = {answer.json()["data"]["run_id"] for answer in answers}
    assert server.wait_ended(run).output["doubled"] == 10


@each("python-fastapi")
def test_runs_are_cancelled_in_bulk(server: Server, sdk: RunningSdk) -> None:
    """`POST /v1/cancellations` ends the function's runs for whose event the condition holds, and no others."""
    group = secrets.token_hex(4)
    runs = {mark: start(server, sdk, "observed", what="sleep", group=group, mark=mark) for mark in ("a", "b", "c")}
    for run in runs.values():
        wait_until(lambda run=run: sdk.app.entered(run, 1), f"{run} sleeps")
    asked = {
        "app_id": sdk.app.name,
        "function_id": "observed",
        "started_before": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "if": f"event.data.group == '{group}' && event.data.mark != 'b'",
    }
    answer = server.http.post("/v1/cancellations", json=asked)
    assert answer.status_code in (200, 201), answer.text
    made = answer.json()["data"]["id"]
    assert {server.wait_ended(runs[mark]).status for mark in ("a", "c")} == {"Cancelled"}
    assert server.run(runs["b"]).status == "Running"
    assert made in [each["id"] for each in server.http.get("/v1/cancellations").json()["data"]]
    assert server.http.delete(f"/v1/cancellations/{made}").status_code in (200, 204)
    assert made not in [each["id"] for each in server.http.get("/v1/cancellations").json()["data"]]
    assert server.cancel(runs["b"]).status_code in (200, 202)


@each(*ALL)
def test_a_waiting_run_is_cancelled(server: Server, sdk: RunningSdk) -> None:
    """DELETE ends a run that waits; the event that comes afterwards changes nothing."""
    group = secrets.token_hex(4)
    run = start(server, sdk, "wait-many", group=group)
    wait_until(lambda: sdk.app.entered(run, 1), "it waits")
    assert server.cancel(run).status_code in (200, 202)
    assert server.wait_ended(run).status == "Cancelled"
    server.send({"name": f"{sdk.app.name}/wait-many.go", "data": {"group": group}})
    server.wait_ended(start(server, sdk, "child", n=1))
    assert server.run(run).status == "Cancelled"
    assert sdk.app.counts(run) == Counter(enter=1)
