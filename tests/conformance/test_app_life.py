"""Apps come, go, move and change while their runs are under way."""

from __future__ import annotations

import uuid
from collections import Counter

import httpx

from penstock.cli.ports import free_port

from ..conftest import StartStack
from .app_process import AppProcess, python_app, wait_until
from .conftest import StartApp
from .raw_app import RawApp, Reply
from .server import Server

COMMAND = python_app("features")


def a_name() -> str:
    return f"life-{uuid.uuid4().hex[:6]}"


def test_a_sync_says_whether_it_changed_anything(start_app: StartApp) -> None:
    """The first sync of an app is a change, the same again is none; the SDK passes that on."""
    app = start_app(a_name(), COMMAND)
    assert app.sync().json()["modified"] is True
    assert app.sync().json()["modified"] is False


def test_a_run_waits_for_its_app(server: Server) -> None:
    """An app that is away costs attempts, not the run: it goes on as soon as the app is back."""
    app = RawApp(server)
    slug = app.serve(lambda _call: Reply(200, "answered"), retries=20)
    app.close()
    run = server.wait_run(server.send({"name": f"{app.name}/{slug}"})[0])
    assert server.run(run).status == "Running"
    app.open()
    assert server.wait_ended(run).output == "answered"
    assert len(app.calls_of(run)) == 1
    app.close()


def test_an_app_that_never_comes_back_fails_its_run(server: Server) -> None:
    """When all attempts are used up the run fails, and its error says who could not be reached."""
    app = RawApp(server)
    slug = app.serve(lambda _call: Reply(200, "answered"), retries=2)
    app.close()
    outcome = server.wait_outcome(server.send({"name": f"{app.name}/{slug}"})[0])
    assert outcome.status == "Failed"
    assert app.name in outcome.message()
    assert app.origin in outcome.message()


def test_a_sync_from_another_url_moves_the_calls(server: Server, start_app: StartApp) -> None:
    """The app at its new place gets the calls of new runs, and the rest of those under way."""
    name = a_name()
    old, new = start_app(name, COMMAND), start_app(name, COMMAND)
    old.sync()
    run = server.wait_run(server.send({"name": f"{name}/moved"})[0])
    wait_until(lambda: old.counts(run)["enter"] == 2, "the run sleeps in the old place")
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


def test_an_app_is_found_and_followed_without_a_hand(stack: StartStack) -> None:
    """A dev server syncs the app it was given a URL of, and again when the app comes back with another function."""
    name, port = a_name(), free_port()
    variables = {"INNGEST_DEV": f"http://127.0.0.1:{port}"}
    app = AppProcess(name, COMMAND, variables | {"CONFORMANCE_LEFT_OUT": "either"}).wait_ready()
    try:
        polling = {"PENSTOCK_APP_POLL_SECONDS": "0.5"}
        server = Server(stack(port=port, app_urls=[app.url], poll=True, environment=polling).url)
        wait_until(lambda: f"{name}-bought" in slugs(server), "the app is registered")
        assert f"{name}-either" not in slugs(server)
        app.stop()
        app = AppProcess(name, COMMAND, variables, app.port).wait_ready()
        wait_until(lambda: f"{name}-either" in slugs(server), "its new function is registered")
        assert server.wait_outcome(server.send({"name": f"{name}/one"})[0]).output == [
            "either",
            f"{name}/one",
        ]
    finally:
        app.stop()


def slugs(server: Server) -> set[str]:
    """Every function that the dev server lists."""
    return {str(function["slug"]) for function in server.http.get("/dev").json()["functions"]}
