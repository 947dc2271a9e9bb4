"""Events and waits of a world: whichever comes first."""

from __future__ import annotations

from dataclasses import replace

from penstock.functions.table import FunctionTable
from penstock.messages.codec import Codec
from penstock.messages.ids import JobId, RunId
from penstock.messages.keys import wait_key
from penstock.messages.records import Event, ResumeRun, Wait
from penstock.testing.events import EventLog

T0 = 1_790_000_000_000
PAID = Event(name="paid", data='{"n":1}', ts=T0, internal_id="01K5N000000000000000000001", received_at=T0)
WAIT = Wait(RunId("01J00000000000000000000000"), JobId("wait/w"), "paid", "data.n", "1", "", "{}", T0, T0 + 9, T0, ())


def log() -> EventLog:
    return EventLog(FunctionTable(), Codec())


def resumed(commands: object) -> list[str]:
    return [command.job_id for command in commands if isinstance(command, ResumeRun)]  # type: ignore[attr-defined]


def test_whichever_comes_first() -> None:
    """The wait finds the event, the event finds the wait."""
    waits_first, event_first = log(), log()
    assert resumed(waits_first.registered(WAIT, T0)) == []
    assert resumed(waits_first.arrived(PAID, T0)) == ["wait/w"]
    assert resumed(event_first.arrived(PAID, T0)) == []
    assert resumed(event_first.registered(WAIT, T0)) == ["wait/w"]


def test_an_event_is_found_by_every_path() -> None:
    """A wait of another shape looks back on events from before its shape was known."""
    events = log()
    tuple(events.arrived(PAID, T0))
    everything = replace(WAIT, path="", value="", job_id=JobId("wait/all"))
    assert resumed(events.registered(replace(WAIT, value="2"), T0)) == []
    assert resumed(events.registered(everything, T0)) == ["wait/all"]


def test_a_wait_that_is_over_meets_nothing() -> None:
    """Its tombstone takes it off the table."""
    events = log()
    tuple(events.registered(WAIT, T0))
    events.over(wait_key(WAIT), T0)
    assert resumed(events.arrived(PAID, T0)) == []
    assert events.wanted("paid")
    assert not events.wanted("other")
