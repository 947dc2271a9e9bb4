"""CloudEvents on Kafka: which attribute becomes what of an event.

`type` is the name, `id` the producer's id, `time` the timestamp; `subject` and `source` say whom and what it
concerns, so they become `user`. Both modes of the Kafka binding are read: structured (one JSON object) and binary
(`ce_…` headers around the data).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from ..errors import UndecodableRecord

PREFIX = "ce_"


def is_structured(value: Mapping[str, object]) -> bool:
    """True for a JSON object with the two attributes that only a CloudEvent has together."""
    return "specversion" in value and "type" in value


def is_binary(headers: Mapping[str, str]) -> bool:
    """True for a record whose headers are a CloudEvent's attributes."""
    return "ce_specversion" in headers and "ce_type" in headers


def binary_attributes(headers: Mapping[str, str]) -> dict[str, object]:
    """The attributes that stand in `ce_…` headers."""
    return {key[len(PREFIX) :]: value for key, value in headers.items() if key.startswith(PREFIX)}


def event_fields(attributes: Mapping[str, object], data: object) -> dict[str, object]:
    """The event, as the fields of our own JSON shape."""
    version = attributes.get("specversion")
    if not isinstance(version, str) or not version.startswith(("1.", "0.3")):
        raise UndecodableRecord(f"CloudEvents specversion {str(version)[:20]!r} is not known: use 1.0")
    if "data_base64" in attributes:
        raise UndecodableRecord("a CloudEvent's data_base64 is not JSON: send the payload as data")
    user = {key: attributes[key] for key in ("source", "subject") if isinstance(attributes.get(key), str)}
    return {
        "name": attributes.get("type"),
        "id": attributes.get("id"),
        "ts": _millis(attributes.get("time")),
        "user": user,
        "data": data,
    }


def _millis(time: object) -> int | None:
    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise UndecodableRecord(f"a CloudEvent's time must be RFC 3339, not {str(time)[:40]!r}")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
