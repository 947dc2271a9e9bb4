"""Every event that the matcher is done with starts what it must, or is a dead letter."""

from __future__ import annotations

import orjson

from penstock.audit.starts import StartsAudit
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.starting import start_run
from penstock.functions.table import FunctionTable
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, RunId
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.keys import dedupe_key
from penstock.messages.records import Function

T0 = 1_700_000_000_000
FN = FunctionKey("app/app-fn")
INCOMING = IncomingEvents(Codec())


def table(registered_at: int = T0 - 1, expression: str | None = "event.data.n > 1") -> FunctionTable:
    found = FunctionTable()
    config = FunctionConfig(FN, "app", "app-fn", "fn", "http://app", (EventTrigger("e", expression),))
    found.apply(Function(FN, "app", "app-fn", "fn", 1, config.to_json(), registered_at), 0)
    return found


def arrival(n: int = 2, event_id: str | None = None, value: bytes | None = None) -> Arrival:
    event = {"name": "e", "data": {"n": n}, "ts": T0} | ({"id": event_id} if event_id else {})
    return Arrival("events", 0, 7, T0, value or orjson.dumps(event))


def rules(
    each: Arrival,
    functions: FunctionTable | None = None,
    started: set[RunId] | None = None,
    marks: set[bytes] | None = None,
    dead: set[tuple[str, int, int]] | None = None,
    since: int = T0,
) -> list[str]:
    audit = StartsAudit(functions or table(), INCOMING, started or set(), marks or set(), dead or set(), since)
    audit.take(each, internal=False)
    return [finding.rule for finding in audit.findings.kept]


def test_a_match_must_have_started_its_run() -> None:
    """The run that the matcher's own rule names."""
    run = start_run(FN, INCOMING.decode(arrival()), "", -1).run_id
    assert rules(arrival()) == ["every match starts a run"]
    assert rules(arrival(), started={run}) == []


def test_an_event_that_matches_nothing_starts_nothing() -> None:
    """By name or by expression."""
    assert rules(arrival(n=1)) == []
    assert rules(Arrival("events", 0, 7, T0, b'{"name":"other","data":{}}')) == []


def test_a_second_event_with_the_same_id_starts_nothing() -> None:
    """The mark of the first stands for it."""
    assert rules(arrival(event_id="x")) == ["every match starts a run"]
    assert rules(arrival(event_id="x"), marks={dedupe_key(FN, "x")}) == []


def test_a_function_that_came_later_says_nothing() -> None:
    """How the function was registered at the time of the event is not known any more."""
    assert rules(arrival(), table(registered_at=T0 + 1)) == []


def test_what_is_no_event_must_be_a_dead_letter() -> None:
    """Nothing is dropped silently."""
    junk = arrival(value=b"junk")
    assert rules(junk) == ["nothing is dropped"]
    assert rules(junk, dead={("events", 0, 7)}) == []


def test_an_event_whose_run_may_be_purged_is_not_asked_for_it() -> None:
    """Events are kept for a month, runs that ended for a day; what is no event must be a dead letter all the same."""
    assert rules(arrival(), since=T0 + 1) == []
    assert rules(arrival(value=b"junk"), since=T0 + 1) == ["nothing is dropped"]
