"""Under which values an event is sent to waits."""

from __future__ import annotations

import orjson

from penstock.matcher.correlating import correlate
from penstock.messages.records import Event

EVENT = Event("a", '{"x": 1.0, "deep": {"y": "é"}, "list": [1]}', "own", 5, internal_id="I", received_at=7)


def test_one_message_for_each_path_with_the_value_that_is_there() -> None:
    """Numbers and text in canonical form; a missing key is null; no path, no value."""
    found = {one.path: one.value for one in correlate(EVENT, ["data.x", "data.deep.y", "data.gone", "name", ""])}
    assert found == {"data.x": "1", "data.deep.y": '"é"', "data.gone": "null", "name": '"a"', "": ""}


def test_a_value_that_is_no_scalar_can_meet_no_wait() -> None:
    """Waits on such values have no path."""
    assert correlate(EVENT, ["data.deep", "data.list"]) == []


def test_the_message_carries_the_event() -> None:
    """As SDKs get it, with what the waits are checked by."""
    (found,) = correlate(EVENT, ["data.x"])
    assert (found.event, found.internal_id, found.received_at) == ("a", "I", 7)
    assert orjson.loads(found.payload)["data"]["x"] == 1.0
