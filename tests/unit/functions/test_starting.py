"""The command that starts a run: which run, for which event, when."""

from __future__ import annotations

from dataclasses import replace

from penstock.functions.starting import start_run
from penstock.messages.ids import FunctionKey, run_id, ulid, ulid_millis
from penstock.messages.records import Event

KEY = FunctionKey("app/f")
NOW = 1_790_000_000_000
INTERNAL = ulid(NOW - 5, b"0123456789")
EVENT = Event(name="a/b", ts=NOW, internal_id=INTERNAL, received_at=NOW)


def test_an_event_without_an_id_is_known_by_its_internal_one() -> None:
    """The run's time is that of the id, so that the same id sent again later names the same run."""
    start = start_run(KEY, EVENT, "{}", 7)
    assert start.run_id == run_id(KEY, INTERNAL, NOW - 5)
    assert start.run_id == start_run(KEY, replace(EVENT, received_at=NOW + 99), "{}", 7).run_id
    assert (start.dedupe_key, start.start_at, start.registry_offset) == (None, 0, 7)
    assert start.event_ids == (INTERNAL,)


def test_an_own_id_deduplicates() -> None:
    """The sender's id is what the owner holds further starts against."""
    start = start_run(KEY, replace(EVENT, id="order-1"), "{}", -1)
    assert start.dedupe_key == "order-1"
    assert ulid_millis(start.run_id) == NOW


def test_a_time_in_the_future_postpones_the_run() -> None:
    """Up to the event's own time."""
    assert start_run(KEY, replace(EVENT, ts=NOW + 60_000), "{}", -1).start_at == NOW + 60_000
