"""Apps come, go, move and change while their runs are under way."""

from __future__ import annotations

import uuid
from collections import Counter

import httpx

from .app_process import python_app, wait_until
from .conftest import StartApp
from .server import Server

COMMAND = python_app("features")


def a_name() -> str:
    return f"life-{uuid.uuid4().hex[:6]}"


def test_a_sync_says_whether_it_changed_anything(start_app: StartApp) -> None:
    """The first sync of an app is a change, the same again is none; the SDK passes that on."""
    app = start_app(a_name(), COMMAND)
    assert app.sync().json()["modified"] is True
    assert app.sync().json()["modified"] is False


def test_a_run_waits_for_its_app(server: Server, start_app: StartApp) -> None:
    """An app that is away costs attempts, not the run: it goes on as soon as the app is back."""
    name = a_name()
    app = start_app(name, COMMAND)
    app.sync()
    app.stop()
    run = server.wait_run(server.send({"name": f"{name}/patient"})[0])
    back = start_app(name, COMMAND, port=app.port)
    assert server.wait_ended(run).output == "answered"
    counts = back.counts(run)
    assert counts["enter"] == 2
    assert sum(counts.values()) == 3


def test_a_sync_from_another_url_moves_the_calls(server: Server, start_app: StartApp) -> None:
    """The app at its new place gets the calls of new runs, and the rest of those under way."""
    name = a_name()
    old = start_app(name, COMMAND)
    old.sync()
    run = server.wait_run(server.send({"name": f"{name}/moved"})[0])
    wait_until(lambda: old.counts(run)["enter"] == 2, "the run sleeps in the old place")
    new = start_app(name, COMMAND)
    new.sync()
    other = server.wait_outcome(server.send({"name": f"{name}/one"})[0]).run
    assert server.wait_ended(run).output == "moved"
    assert old.counts(run) == Counter({"enter": 2, "step:before:0": 1})
    assert new.counts(run) == Counter({"enter": 2, "step:after:0": 1})
    assert (old.counts(other), new.counts(other)) == (Counter(), Counter(enter=1))


def test_a_function_left_out_of_a_sync_runs_no_more(server: Server, start_app: StartApp) -> None:
    """A sync replaces all functions of the app: the one that is gone is not triggered by the very next event."""
    name = a_name()
    start_app(name, COMMAND).sync()
    event = {"name": f"{name}/bought", "data": {"total": 200, "country": "SI"}}
    before = server.wait_runs(server.send(event)[0], 2)
    assert sorted(server.wait_ended(row["run_id"]).output for row in before) == ["bought", "dear"]
    start_app(name, COMMAND, CONFORMANCE_LEFT_OUT="dear").sync()
    after = server.send(event)[0]
    assert server.wait_outcome(after).output == "bought"
    assert len(server.runs_of(after)) == 1


def test_a_new_function_is_triggered_by_the_very_next_event(server: Server, start_app: StartApp) -> None:
    """What a sync was told has happened is true for the next request, every time."""
    for _ in range(3):
        name = a_name()
        app = start_app(name, COMMAND)
        app.sync()
        event = server.send({"name": f"{name}/one"})[0]
        assert server.wait_outcome(event).output == ["either", f"{name}/one"]


def test_a_registration_that_cannot_be_used_says_why(server: Server) -> None:
    """A blank app name is refused with an error an SDK can show."""
    body = {
        "url": "http://127.0.0.1:1/api/inngest",
        "appName": " ",
        "sdk": "py:v0.5.0",
        "v": "0.1",
        "functions": [],
    }
    answer = httpx.post(f"{server.url}/fn/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
