"""The body of `POST /e/<key>`, read: which events it holds, under which ids, and what is wrong with the first bad one.

No I/O, no clock: the time and the seed of the ids are arguments. What is accepted here is within the limits that the
readers of the topic hold events against (`messages.incoming`), so that nothing answered with 200 becomes a dead letter.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, replace

import orjson

from ..errors import InvalidInput, LimitExceeded
from ..messages.ids import FunctionKey, function_uuid, ulid
from ..messages.incoming import (
    EARLIEST_MS,
    LATEST_MS,
    MAX_ID_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_VERSION_CHARACTERS,
    RESERVED_PREFIX,
)
from ..messages.payload import MEBIBYTE, RESERVED_KEY, PayloadLimits, require_depth
from ..messages.records import Event

MAX_EVENTS = 5000
LIMITS = PayloadLimits()

#: The event that a function is invoked with.
INVOKED = f"{RESERVED_PREFIX}function.invoked"
_KEYS = frozenset({"name", "data", "id", "ts", "user", "v", "meta"})
_MAX_SEED_MILLIS = (1 << 48) - 1
_COUNTER = 1 << 32


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a request's internal ids come from: equal seeds, equal ids, so a repeated POST starts nothing twice."""

    millis: int
    entropy: bytes

    def id_of_invocation(self) -> str:
        """Internal id of the only event of an invocation: the seed as it is."""
        return self.id_at(-1)

    def id_at(self, position: int) -> str:
        """Internal id of the event at this position; the last four bytes of the entropy count, from 1."""
        counter = (int.from_bytes(self.entropy[6:], "big") + position + 1) % _COUNTER
        return ulid(self.millis, self.entropy[:6] + counter.to_bytes(4, "big"))


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """The events before the first bad one, and why that one is bad."""

    events: list[Event]
    error: str | None = None


def parse_seed(header: str) -> Seed:
    """Read `<millis>,<base64 of 10 bytes>`, the header by which SDKs make a repeated POST harmless."""
    millis, _, encoded = header.partition(",")
    try:
        entropy = b64decode(encoded.strip() + "=" * (-len(encoded.strip()) % 4), validate=True)
    except (binascii.Error, ValueError):
        entropy = b""
    usable = millis.isascii() and millis.isdigit() and len(millis) <= 15 and int(millis) <= _MAX_SEED_MILLIS
    if not usable or len(entropy) != 10:
        raise InvalidInput(
            f"x-inngest-event-id-seed: {header[:60]!r} is not a seed; send <milliseconds>,<base64 of 10 bytes>"
        )
    return Seed(int(millis), entropy)


def read_events(body: bytes, seed: Seed, now: int) -> ReadEvents:
    """Read one event or an array of them; `InvalidInput` when the body as a whole cannot be used.

    In an array everything before the first bad event is accepted, everything after it is not looked at.
    """
    rows = _rows(body)
    events: list[Event] = []
    for position, row in enumerate(rows):
        try:
            event = _event(row, seed.id_at(position), now)
            _require_size(event)
        except InvalidInput as error:
            return ReadEvents(events, f"event {position}: {error}" if len(rows) > 1 else str(error))
        events.append(event)
    return ReadEvents(events)


def _rows(body: bytes) -> list[object]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = f"the body is not JSON: {error}" if body.strip() else "the body is empty"
        raise InvalidInput(f"{reason}; send an event as a JSON object, or an array of events") from error
    if isinstance(sent, dict):
        return [sent]
    if not isinstance(sent, list):
        raise InvalidInput("the body must be an event (a JSON object) or an array of events")
    if len(sent) > MAX_EVENTS:
        raise InvalidInput(f"{len(sent)} events in one request; send at most {MAX_EVENTS}, in several requests")
    return sent


def read_invocation(body: bytes, internal_id: str, function: FunctionKey, now: int) -> Event:
    """Read an invocation of one function: the body is an event, except that its name is ours. Empty is fine."""
    rows = _rows(body) if body.strip() else [{}]
    if len(rows) != 1:
        raise InvalidInput(f"{len(rows)} events in one invocation; send one JSON object")
    row = _known_keys(rows[0])
    event = _made(INVOKED, row, internal_id, now)
    _require_size(event)
    data = {**orjson.loads(event.data), RESERVED_KEY: {"fn_id": str(function_uuid(function))}}
    return replace(event, data=orjson.dumps(data).decode(), source="invoke")


def _event(row: object, internal_id: str, now: int) -> Event:
    row = _known_keys(row)
    return _made(_name(row.get("name")), row, internal_id, now)


def _known_keys(row: object) -> dict[str, object]:
    """An event's fields, whatever the case of their keys."""
    if not isinstance(row, dict):
        raise InvalidInput("an event must be a JSON object")
    if row.keys() <= _KEYS:
        return row
    return {lower if (lower := key.lower()) in _KEYS else key: value for key, value in row.items()}


def _made(name: str, row: dict[str, object], internal_id: str, now: int) -> Event:
    data = row.get("data")
    return Event(
        name=name,
        data="{}" if not data and (data is None or data == {}) else _payload("data", data),
        id=_text("id", row.get("id"), MAX_ID_CHARACTERS),
        ts=_time(row.get("ts"), now),
        user="{}" if not (user := row.get("user")) and (user is None or user == {}) else _payload("user", user),
        v=_text("v", row.get("v"), MAX_VERSION_CHARACTERS) or None,
        internal_id=internal_id,
        received_at=now,
        source="http",
    )


def _name(value: object) -> str:
    name = _text("name", value, MAX_NAME_CHARACTERS)
    if not name:
        raise InvalidInput("name is missing; every event needs one, such as shop/order.placed")
    if name[: len(RESERVED_PREFIX)].lower() == RESERVED_PREFIX:
        raise InvalidInput(f"name {name[:60]!r}: names starting with {RESERVED_PREFIX} are the system's own")
    return name


def _text(key: str, value: object, most: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"{key} must be text, not {_kind(value)}")
    if len(value) > most:
        raise LimitExceeded(f"{key} has {len(value)} characters; at most {most} are allowed")
    return value


def _time(value: object, now: int) -> int:
    """When it happened; now, where the sender does not say."""
    if value is None or (value == 0 and not isinstance(value, bool)):
        return now
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise InvalidInput(f"ts must be whole milliseconds since 1970, not {_kind(value)}")
    if not EARLIEST_MS <= value <= LATEST_MS:
        raise InvalidInput(f"ts {value} is not between the years 1980 and 2100; send milliseconds since 1970")
    return int(value)


def _payload(key: str, value: object) -> str:
    if not isinstance(value, dict):
        raise InvalidInput(f"{key} must be a JSON object, not {_kind(value)}")
    if RESERVED_KEY in value and key == "data":
        value = {name: inner for name, inner in value.items() if name != RESERVED_KEY}
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError as error:  # orjson writes less deep than it reads
        raise LimitExceeded(_too_deep(key)) from error
    if text.count(b"{") + text.count(b"[") > LIMITS.max_depth:
        require_depth(value, key, LIMITS)
    return text.decode()


def _too_deep(key: str) -> str:
    return f"{key} nests deeper than {LIMITS.max_depth} levels: flatten it"


def _require_size(event: Event) -> None:
    """A character has four bytes at most, so small events need no count."""
    if (len(event.data) + len(event.user) + len(event.name) + len(event.id)) * 4 <= LIMITS.max_bytes:
        return
    size = sum(len(part.encode()) for part in (event.name, event.id, event.data, event.user))
    if size > LIMITS.max_bytes:
        most = LIMITS.max_bytes // MEBIBYTE
        raise LimitExceeded(f"{size} bytes; an event has at most {most} MiB: store it elsewhere, send a reference")


def _kind(value: object) -> str:
    kinds: dict[type, str] = {bool: "a boolean", str: "text", list: "an array", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")
