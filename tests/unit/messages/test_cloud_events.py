"""CloudEvents attributes as fields of an event."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import UndecodableRecord
from penstock.messages.cloud_events import binary_attributes, event_fields, is_binary, is_structured

ATTRIBUTES: dict[str, Any] = {
    "specversion": "1.0",
    "type": "shop/paid",
    "id": "e-1",
    "source": "/shop",
    "subject": "order-7",
    "time": "2026-08-31T12:00:00.5Z",
}


def test_attributes_become_fields() -> None:
    """Type is the name, time the timestamp, source and subject say whom and what it concerns."""
    assert event_fields(ATTRIBUTES, {"n": 1}) == {
        "name": "shop/paid",
        "id": "e-1",
        "ts": 1_788_177_600_500,
        "user": {"source": "/shop", "subject": "order-7"},
        "data": {"n": 1},
    }


def test_optional_attributes_may_be_absent() -> None:
    """Without time the record's own counts; a time without a zone is UTC."""
    assert event_fields({"specversion": "1.0", "type": "a", "id": "1"}, None)["ts"] is None
    assert event_fields(ATTRIBUTES | {"time": "1970-01-02T00:00:00"}, None)["ts"] == 86_400_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specversion": "2.0"}, "specversion '2.0' is not known: use 1.0"),
        ({"specversion": 1}, "specversion '1' is not known"),
        ({"data_base64": "AA=="}, "send the payload as data"),
        ({"time": "yesterday"}, "time must be RFC 3339, not 'yesterday'"),
        ({"time": 5}, "time must be RFC 3339"),
    ],
)
def test_unusable_attributes_are_refused(change: dict[str, Any], message: str) -> None:
    """Each error says what is wrong."""
    with pytest.raises(UndecodableRecord, match=message):
        event_fields(ATTRIBUTES | change, None)


def test_both_modes_are_recognised() -> None:
    """Structured by two members that only a CloudEvent has together, binary by two headers."""
    assert is_structured({"specversion": "1.0", "type": "a"})
    assert not is_structured({"type": "a", "name": "b"})
    assert is_binary({"ce_specversion": "1.0", "ce_type": "a"})
    assert not is_binary({"ce_type": "a"})
    assert binary_attributes({"ce_type": "a", "other": "b"}) == {"type": "a"}
