"""The events that tell of a run's end."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from penstock.messages.ids import FunctionKey, RunId, is_ulid
from penstock.messages.records import Event, RunEnded, RunStarted, RunStatus
from penstock.runs.announcements import MAX_DATA_BYTES, announcements
from penstock.runs.run import Run

RUN = RunId("01J00000000000000000000000")
T0 = 1_700_000_000_000
EVENT = '{"name":"shop/order","data":{"id":7},"id":"o-7","user":{},"ts":1}'
ERROR = '{"name":"ValueError","message":"no","stack":"at x","code":"c"}'


def run(status: RunStatus, output: str, event: str = EVENT, correlation: str = "") -> Run:
    started = RunStarted(RUN, FunctionKey("shop/shop-pay/now"), 3, (event,), ("e",), 5, T0, T0, "", "", correlation)
    return Run(started, ended=RunEnded(RUN, status, output, T0 + 9, T0 + 99))


def told(each: Run, *, wanted: bool = True) -> dict[str, Event]:
    return {event.name: event for event in announcements(each, lambda _: wanted)}


def data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(event.data)
    return found


def test_a_completed_run_has_finished() -> None:
    """With its result, the event that triggered it and the id under which the SDK knows the function."""
    events = told(run("Completed", '{"a":1.50}', correlation="P.s"))
    assert list(events) == ["inngest/function.finished"]
    event = events["inngest/function.finished"]
    assert event.data.find("1.50") > 0, "payloads are passed on to the digit"
    assert data(event) == {
        "function_id": "shop-pay/now",
        "run_id": RUN,
        "event": orjson.loads(EVENT),
        "events": [orjson.loads(EVENT)],
        "result": {"a": 1.5},
        "correlation_id": "P.s",
        "_inngest": {"status": "Completed"},
    }


@pytest.mark.parametrize(
    ("status", "name"), [("Failed", "inngest/function.failed"), ("Cancelled", "inngest/function.cancelled")]
)
def test_failures_and_cancellations_have_an_event_of_their_own(status: RunStatus, name: str) -> None:
    """Its id is the run's; the error has the fields that handlers of failures read."""
    events = told(run(status, ERROR))
    assert list(events) == ["inngest/function.finished", name]
    assert events[name].id == RUN
    assert data(events[name])["error"] == {
        "error": "invalid status code: 500",
        "name": "ValueError",
        "message": "no",
        "stack": "at x",
    }
    assert data(events[name])["result"] == orjson.loads(ERROR)
    assert data(events[name])["_inngest"] == {"status": status}


def test_ids_are_the_same_each_time_and_differ_between_events() -> None:
    """A commit that is made again tells of the same events."""
    first, again = told(run("Failed", ERROR)), told(run("Failed", ERROR))
    assert first == again
    ids = [event.internal_id for event in first.values()]
    assert len(set(ids)) == 2
    assert all(map(is_ulid, ids))


@pytest.mark.parametrize("name", ["function.failed", "function.finished", "function.cancelled"])
def test_what_an_announcement_triggered_announces_nothing(name: str) -> None:
    """A handler of failures that fails must not handle its own failure, and so on."""
    assert not told(run("Failed", ERROR, f'{{"name":"inngest/{name}"}}'))


def test_unwanted_ends_are_not_told_unless_they_failed() -> None:
    """One event less for each run that completes."""
    assert not told(run("Completed", "1"), wanted=False)
    assert list(told(run("Failed", ERROR), wanted=False)) == ["inngest/function.failed"]


def test_a_live_run_announces_nothing() -> None:
    """There is no end to tell of."""
    assert not told(Run(run("Completed", "1").started))


@pytest.mark.parametrize(("event", "result"), [(3, 3), (3, 7), (9, 1), (9, 9)])
def test_an_announcement_fits_into_a_record(event: int, result: int) -> None:
    """However large event and result are (in MiB): copies are left out first."""
    payload = f'{{"name":"e","data":"{"x" * (event * 1024 * 1024)}"}}'
    each = run("Failed", f'{{"name":"E","message":"{"y" * (result * 1024 * 1024)}"}}', payload)
    for told_event in told(each).values():
        assert len(told_event.data) <= MAX_DATA_BYTES
        assert data(told_event)["run_id"] == RUN
