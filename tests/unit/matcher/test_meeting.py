"""Whether an event ends a wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.functions.triggering import Conditions
from penstock.matcher.meeting import IncomingEvent, meet
from penstock.messages.ids import JobId, RunId
from penstock.messages.records import CorrelatedEvent, ResumeRun, Wait

WAIT = Wait(RunId("R"), JobId("J"), "a", "data.x", "1", "", "{}", 100, 200, 150, ("had",))
EVENT = CorrelatedEvent("a", "data.x", "1", "I", 150, '{"name": "a", "data": {"x": 1, "amount": 7}}')


def met(wait: Wait = WAIT, event: CorrelatedEvent = EVENT) -> ResumeRun | None:
    return meet(wait, IncomingEvent(event), Conditions())


def test_the_run_gets_the_event() -> None:
    """With the job that waits, and the event's identity."""
    assert met() == ResumeRun(RunId("R"), JobId("J"), "I", EVENT.payload, 150)


@pytest.mark.parametrize(("at", "meets"), [(99, False), (100, True), (200, True), (201, False)])
def test_only_events_received_within_the_waits_time(at: int, meets: bool) -> None:
    """Both bounds belong to it."""
    assert (met(event=replace(EVENT, received_at=at)) is not None) is meets


def test_an_event_that_the_run_has_had_is_no_answer() -> None:
    """Its trigger, or what ended an earlier wait."""
    assert met(event=replace(EVENT, internal_id="had")) is None


@pytest.mark.parametrize("other", [{"event": "b"}, {"path": "data.y"}, {"value": "2"}])
def test_equal_hashes_are_not_enough(other: dict[str, str]) -> None:
    """Name, path and value themselves decide."""
    assert met(event=replace(EVENT, **other)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "meets"),
    [
        ("async.data.amount > event.data.limit", True),
        ("async.data.amount > event.data.limit + 5", False),
        ("async.data.amount", False),
        ("async.data.amount >", False),
    ],
)
def test_the_rest_of_the_condition_sees_both_events(condition: str, meets: bool) -> None:
    """What fails, does not compile or is not true, does not match."""
    wait = replace(WAIT, condition=condition, bound='{"data": {"limit": 5}}')
    assert (met(wait) is not None) is meets


def test_a_broken_record_matches_nothing() -> None:
    """Bound values or a payload that are no JSON."""
    assert met(replace(WAIT, condition="true", bound="{")) is None
    assert met(replace(WAIT, condition="true"), replace(EVENT, payload="{")) is None
