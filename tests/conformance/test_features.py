"""Triggers, sending, deduplication, cancelling and limits, as a user of the Python SDK meets them."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import httpx
import inngest
import pytest

from .app_process import AppProcess, python_app, wait_until
from .server import Server


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[AppProcess]:
    """The app of features, synced."""
    app = AppProcess(f"features-{uuid.uuid4().hex[:6]}", python_app("features"), {"INNGEST_DEV": server.url})
    try:
        app.wait_ready().sync()
        yield app
    finally:
        app.stop()


def outputs_of(server: Server, event: str, number: int) -> list[object]:
    """What the event's runs returned; as many runs as said, and no more when they have ended."""
    rows = server.wait_runs(event, number)
    outputs = [server.wait_ended(row["run_id"]).output for row in rows]
    assert len(server.runs_of(event)) == number
    return sorted(outputs, key=str)


@pytest.mark.parametrize("name", ["{app}/orders/created", "{app}/orders/eu/created"])
def test_a_wildcard_after_a_slash_matches_every_rest(server: Server, app: AppProcess, name: str) -> None:
    """`orders/*` starts the function for any event below it, and the function sees the full name."""
    name = name.format(app=app.name)
    assert outputs_of(server, server.send({"name": name})[0], 1) == [["below", name]]


def test_a_wildcard_after_a_dot_matches(server: Server, app: AppProcess) -> None:
    """`audit.*` starts the function for `audit.login`."""
    name = f"{app.name}.audit.login"
    assert outputs_of(server, server.send({"name": name})[0], 1) == [["dotted", name]]


def test_either_of_two_triggers_starts_the_function(server: Server, app: AppProcess) -> None:
    """A function with two triggers runs for each event of either name."""
    names = [f"{app.name}/one", f"{app.name}/other"]
    events = server.send({"name": names[0]}, {"name": names[1]})
    assert [outputs_of(server, event, 1) for event in events] == [[["either", name]] for name in names]


def test_every_function_of_an_event_runs_where_its_expression_holds(server: Server, app: AppProcess) -> None:
    """One event starts several functions; a trigger's expression decides over its function alone."""
    cases = [({"total": 101, "country": "SI"}, ["bought", "dear"])]
    cases += [(data, ["bought"]) for data in ({"total": 100, "country": "SI"}, {"total": 500}, {})]
    events = server.send(*({"name": f"{app.name}/bought", "data": data} for data, _ in cases))
    for event, (data, expected) in zip(events, cases, strict=True):
        assert outputs_of(server, event, len(expected)) == expected, data


def test_events_sent_from_a_step_start_their_functions(server: Server, app: AppProcess) -> None:
    """`step.send_event` returns the ids of its events, and each of them has its run."""
    sent = server.wait_outcome(server.send({"name": f"{app.name}/send"})[0])
    assert [server.wait_outcome(event).output for event in sent.output] == [{"number": 0}, {"number": 1}]


def test_the_client_sends_from_outside_of_functions(server: Server, app: AppProcess) -> None:
    """`client.send` gives one id per event; each leads to its run."""
    client = inngest.Inngest(app_id="outside", event_api_base_url=server.url, is_production=False)
    marks = [secrets.token_hex(4) for _ in range(3)]
    ids = client.send_sync([inngest.Event(name=f"{app.name}/counted", data={"what": mark}) for mark in marks])
    assert [server.wait_outcome(event).output for event in ids] == marks


def test_an_event_id_starts_each_function_once(server: Server, app: AppProcess) -> None:
    """A second event with the same id is kept but starts no run."""
    what, own_id = secrets.token_hex(4), secrets.token_hex(8)
    event = {"name": f"{app.name}/counted", "id": own_id, "data": {"what": what}}
    first, again = server.send(event)[0], server.send(event)[0]
    assert first != again
    later = server.send({"name": f"{app.name}/counted", "data": {"what": "later"}})[0]
    assert server.wait_outcome(first).output == what
    server.wait_outcome(later)
    assert server.runs_of(again) == []
    assert app.counts(f"counted-{what}") == Counter(enter=2)


def test_a_request_sent_again_with_its_seed_starts_nothing_twice(server: Server, app: AppProcess) -> None:
    """The same seed gives the same ids, so that an SDK may send again when it saw no answer."""
    what = secrets.token_hex(4)
    seed = f"{int(time.time() * 1000)},{base64.b64encode(secrets.token_bytes(10)).decode()}"
    event = {"name": f"{app.name}/counted", "data": {"what": what}}
    ids = server.send(event, headers={"x-inngest-event-id-seed": seed})
    assert server.send(event, headers={"x-inngest-event-id-seed": seed}) == ids
    later = server.send({"name": f"{app.name}/counted", "data": {"what": "later"}})[0]
    assert server.wait_outcome(ids[0]).output == what
    server.wait_outcome(later)
    assert len(server.runs_of(ids[0])) == 1
    assert app.counts(f"counted-{what}") == Counter(enter=2)


def test_good_events_before_a_bad_one_are_kept(server: Server, app: AppProcess) -> None:
    """The answer names the ids of the events that were accepted; those run, the rest was not looked at."""
    what = secrets.token_hex(4)
    good = {"name": f"{app.name}/counted", "data": {"what": what}}
    answer = server.http.post(f"/e/{server.event_key}", json=[good, {"name": ""}, good])
    assert answer.status_code == 400
    assert answer.json()["error"]
    [event] = answer.json()["ids"]
    assert server.wait_outcome(event).output == what


def test_an_event_from_the_future_waits(server: Server, app: AppProcess) -> None:
    """A run of an event whose `ts` lies ahead starts at that time."""
    at = int(time.time() * 1000) + 2000
    event = server.send({"name": f"{app.name}/counted", "ts": at, "data": {"what": "future"}})[0]
    outcome = server.wait_outcome(event)
    assert int(app.journal(outcome.run)[0]["at"]) >= at


def test_a_sleeping_run_is_cancelled(server: Server, app: AppProcess) -> None:
    """DELETE ends a run that sleeps: it is Cancelled and never called again."""
    run = server.wait_run(server.send({"name": f"{app.name}/asleep"})[0])
    wait_until(lambda: app.counts(run)["enter"] == 2, "the run goes to sleep")
    assert server.cancel(run).status_code in (200, 202)
    assert server.wait_ended(run).status == "Cancelled"
    assert app.counts(run) == Counter({"enter": 2, "step:before:0": 1})


def test_a_run_is_cancelled_while_its_step_runs(server: Server, app: AppProcess) -> None:
    """The call that is under way may end, but its result is thrown away."""
    run = server.wait_run(server.send({"name": f"{app.name}/held"})[0])
    wait_until(lambda: app.counts(run)["holding"], "the step runs")
    assert server.cancel(run).status_code in (200, 202)
    assert server.wait_ended(run).status == "Cancelled"
    httpx.post(f"{app.origin}/journal/{run}/release")
    wait_until(lambda: app.counts(run)["released"], "the step ends")
    server.wait_outcome(server.send({"name": f"{app.name}/one"})[0])
    assert server.run(run).status == "Cancelled"
    assert app.counts(run) == Counter(enter=1, holding=1, release=1, released=1)


def test_an_unknown_run_cannot_be_cancelled(server: Server) -> None:
    """404 with an error that says so."""
    answer = server.cancel("01J00000000000000000000000")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_step_that_returns_too_much_fails_with_the_limit(server: Server, app: AppProcess) -> None:
    """More than 4 MiB from one step fails the run at once: trying again would not make it smaller."""
    outcome = server.wait_outcome(server.send({"name": f"{app.name}/large-output"})[0])
    assert outcome.status == "Failed"
    assert "4 MiB" in outcome.message()
    assert app.counts(outcome.run)["step:large:0"] == 1
