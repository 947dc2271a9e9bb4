"""Events from any Kafka client: every encoding that may lie on the events topic, told apart and made an `Event`.

    C3 01 …      our `Event` as Avro single-object encoding (what ingest writes)
    00 <id> …    Confluent framing: `Event`, or any other Avro record or JSON whose schema the registry knows
    { …          JSON: {name, data, id, ts, user, v}, or a CloudEvent
    ce_ headers  a CloudEvent in binary mode around JSON or Confluent-framed data

A record that is not an event by itself (no `name` and `data`) becomes the event's `data`, and its name comes from
the header `penstock-event-name`, `ce_type`, or the schema's full name. Everything here was written by strangers:
whatever the bytes, the outcome is an event within the limits or an `UndecodableRecord` that says what to do.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro

from ..errors import Unavailable, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from . import cloud_events
from .codec import CONFLUENT, SINGLE_OBJECT, Codec
from .ids import is_ulid, record_event_id
from .payload import MEBIBYTE, PayloadLimits, checked_text, parse_json, payload_text
from .records import Event
from .writer_schemas import WriterSchema, WriterSchemas

NAME_HEADER = "penstock-event-name"
ID_HEADER = "penstock-event-id"
#: How far in the functions topic the sender had seen, in decimal.
REGISTRY_HEADER = "penstock-registry"
#: Names that only the system may send, in any case of letters.
RESERVED_PREFIX = "inngest/"
MAX_NAME_CHARACTERS = 1024
MAX_ID_CHARACTERS = 1024
MAX_VERSION_CHARACTERS = 256
#: 1980-01-01 and 2100-01-01: what lies outside was not meant as milliseconds since 1970.
EARLIEST_MS = 315_532_800_000
LATEST_MS = 4_102_444_800_000
#: What the system tells of a run's end holds its events, twice at times, and its result; see `runs.announcements`.
INTERNAL_LIMITS = PayloadLimits(max_bytes=8 * MEBIBYTE, max_depth=500)
#: A reception time further from the record's own time is not believed.
MAX_CLOCK_DIFFERENCE_MS = 24 * 3600 * 1000

_EPOCH = datetime.fromtimestamp(0, UTC)
_KNOWN_START = (
    'send JSON ({"name": …, "data": {…}}), our Event as Avro single-object encoding, or Avro with Confluent framing'
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it lies on a topic; `timestamp` in milliseconds, as the broker gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class IncomingEvents:
    """Makes events of records. Pure: equal records give equal events, for every reader and every time."""

    def __init__(self, codec: Codec, schemas: WriterSchemas | None = None, limits: PayloadLimits | None = None) -> None:
        """`limits` are those of strangers' events."""
        self._codec = codec
        self._schemas = schemas
        self._limits = limits or PayloadLimits()

    def decode(self, arrival: Arrival, internal: bool = False) -> Event:
        """The event, with internal id, `ts` and `received_at` filled in; `id` stays empty where none was given.

        `internal` says that only the system writes this topic: names of the system are allowed there. Raises
        `UndecodableRecord` for what will never be an event, and `Unavailable` while the schema registry is away.
        """
        try:
            return self._decoded(arrival, internal)
        except (UndecodableRecord, Unavailable, MemoryError):
            raise
        except Exception as error:  # whatever reads it would stop at this record for good
            end_if_out_of_memory(error)
            raise UndecodableRecord(f"reading this record failed, please report it: {error!r}") from error

    def _decoded(self, arrival: Arrival, internal: bool) -> Event:
        value = arrival.value
        if value is not None and value[:2] == SINGLE_OBJECT:
            return self._own(value, arrival, internal)
        headers = _headers(arrival.headers) if arrival.headers else {}
        if value is not None and value[:1] == CONFLUENT and len(value) >= 5:
            return self._confluent(value, headers, arrival, internal)
        return self._json(value, headers, arrival, internal)

    def _own(self, value: bytes, arrival: Arrival, internal: bool) -> Event:
        event = self._codec.decode(value)
        if not isinstance(event, Event):
            raise UndecodableRecord(f"a {type(event).__name__} does not belong here: only events do")
        data = checked_text(event.data, "data", INTERNAL_LIMITS if internal else self._limits, internal)
        user = "{}"
        if event.user != "{}":
            user = checked_text(event.user, "user", self._limits, True)
        return _settle(event, data, "{}" if user == "null" else user, arrival, internal)

    def _confluent(self, value: bytes, headers: Mapping[str, str], arrival: Arrival, internal: bool) -> Event:
        if self._codec.knows(value):
            return self._own(value, arrival, internal)
        schema = self._writer_schema(int.from_bytes(value[1:5], "big"))
        if schema.kind == "JSON":
            return self._json(value[5:], headers, arrival, internal)
        row = _read_avro(value, schema)
        fields: dict[str, object] = {"name": schema.name, "data": row}
        if isinstance(row, dict) and isinstance(row.get("name"), str) and "data" in row:
            fields = {key: row.get(key) for key in _SHAPE}
            if isinstance(row["data"], str):
                data = checked_text(row["data"], "data", self._limits, internal)
                return self._event(fields, data, arrival, internal)
        elif cloud_events.is_binary(headers):
            fields = cloud_events.event_fields(cloud_events.binary_attributes(headers), row)
        return self._named(fields, headers, arrival, internal)

    def _json(self, value: bytes | None, headers: Mapping[str, str], arrival: Arrival, internal: bool) -> Event:
        binary = cloud_events.is_binary(headers)
        if not value and not binary:
            raise UndecodableRecord(f"the record is empty: {_KNOWN_START}")
        content = self._json_value(value) if value else None
        fields: dict[str, object]
        if binary:
            fields = cloud_events.event_fields(cloud_events.binary_attributes(headers), content)
        elif not isinstance(content, dict):
            raise UndecodableRecord("one record holds one event: a JSON object, not an array or a bare value")
        elif NAME_HEADER in headers and not ("name" in content and "data" in content):
            fields = {"data": content}
        elif cloud_events.is_structured(content):
            fields = cloud_events.event_fields(content, content.get("data"))
        else:
            fields = {key: content.get(key) for key in _SHAPE} | {"data": content.get("data", {})}
            return self._event(fields, payload_text(fields["data"], "data", self._limits, internal), arrival, internal)
        return self._named(fields, headers, arrival, internal)

    def _json_value(self, value: bytes) -> object:
        if value.lstrip()[:1] not in (b"{", b"["):
            raise UndecodableRecord(f"unknown encoding, starting with {value[:10].hex(' ')}: {_KNOWN_START}")
        return parse_json(value, "the record", self._limits)

    def _named(self, fields: dict[str, object], headers: Mapping[str, str], arrival: Arrival, internal: bool) -> Event:
        """An event whose name and id the headers may decide."""
        named = fields | {"name": headers.get(NAME_HEADER) or fields.get("name")}
        named["id"] = headers.get(ID_HEADER) or fields.get("id")
        data = payload_text(named["data"], "data", self._limits, internal)
        return self._event(named, data, arrival, internal)

    def _event(self, fields: Mapping[str, object], data: str, arrival: Arrival, internal: bool) -> Event:
        event = Event(
            name=_text(fields, "name"),
            data=data,
            id=_text(fields, "id"),
            ts=_time(fields.get("ts")),
            v=_text(fields, "v") or None,
        )
        return _settle(event, data, self._user(fields.get("user")), arrival, internal)

    def _user(self, user: object) -> str:
        if not user:
            return "{}"
        if isinstance(user, str):
            text = checked_text(user, "user", self._limits, True)
            return "{}" if text == "null" else text
        return payload_text(user, "user", self._limits, True)

    def _writer_schema(self, schema_id: int) -> WriterSchema:
        if self._schemas is None:
            raise UndecodableRecord(
                f"written with schema {schema_id} of a schema registry, but none is configured: "
                "set PENSTOCK_SCHEMA_REGISTRY_URL"
            )
        schema = self._schemas.schema(schema_id)
        if schema is None:
            raise UndecodableRecord(f"the schema registry has no schema {schema_id}: register it, then send again")
        return schema


_SHAPE = ("name", "data", "id", "ts", "user", "v")


def _settle(event: Event, data: str, user: str, arrival: Arrival, internal: bool) -> Event:
    """The event with everything checked and filled in; the same object where nothing had to change."""
    _require_name(event.name, internal)
    if len(event.id) > MAX_ID_CHARACTERS:
        raise UndecodableRecord(f"id is longer than {MAX_ID_CHARACTERS} characters")
    if event.v is not None and len(event.v) > MAX_VERSION_CHARACTERS:
        raise UndecodableRecord(f"v is longer than {MAX_VERSION_CHARACTERS} characters")
    if event.ts and not EARLIEST_MS <= event.ts <= LATEST_MS:
        raise UndecodableRecord(f"ts must be milliseconds since 1970, of the years 1980 to 2100, not {event.ts}")
    recorded_at = min(max(arrival.timestamp, EARLIEST_MS), LATEST_MS)
    received_at = event.received_at
    if abs(received_at - recorded_at) > MAX_CLOCK_DIFFERENCE_MS:
        received_at = recorded_at
    internal_id = _internal_id(event.internal_id, arrival, received_at)
    ts = event.ts or received_at
    source = event.source[:64] or "kafka"
    if (
        data is event.data
        and user == event.user
        and ts == event.ts
        and received_at == event.received_at
        and internal_id is event.internal_id
        and source == event.source
    ):
        return event
    return Event(event.name, data, event.id, ts, user, event.v, internal_id, received_at, source)


def _require_name(name: str, internal: bool) -> None:
    if not name:
        raise UndecodableRecord(f'the event has no name: put it into the field "name" or into the header {NAME_HEADER}')
    if len(name) > MAX_NAME_CHARACTERS:
        raise UndecodableRecord(f"name is longer than {MAX_NAME_CHARACTERS} characters")
    if not internal and name[: len(RESERVED_PREFIX)].lower() == RESERVED_PREFIX:
        raise UndecodableRecord(f"names that start with {RESERVED_PREFIX} are the system's: choose another")


def _internal_id(given: str, arrival: Arrival, received_at: int) -> str:
    if not given:
        return record_event_id(arrival.topic, arrival.partition, arrival.offset, received_at)
    if not is_ulid(given):
        raise UndecodableRecord(f"internal_id must be a ULID, or empty to have one made, not {given[:40]!r}")
    return given


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Headers that may name an event, as text; of a repeated one, the last."""
    try:
        return {
            key: value.decode()
            for key, value in headers
            if value is not None and (key.startswith(cloud_events.PREFIX) or key in (NAME_HEADER, ID_HEADER))
        }
    except UnicodeDecodeError as error:
        raise UndecodableRecord(f"a header that names the event is not UTF-8: {error}") from error


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UndecodableRecord(f"{key} must be text, not {type(value).__name__}")
    return value


def _time(value: object) -> int:
    """Milliseconds since 1970; 0 when not given. A time without a zone is UTC, wherever it is read."""
    if value is None:
        return 0
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise UndecodableRecord(f"ts must be whole milliseconds since 1970, not {str(value)[:40]!r}")
    return int(value)


def _read_avro(value: bytes, schema: WriterSchema) -> Any:
    source = io.BytesIO(value)
    source.seek(5)
    try:
        return fastavro.schemaless_reader(source, schema.parsed, None)  # type: ignore[arg-type]
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:  # fastavro raises whatever the bytes make it stumble over
        raise UndecodableRecord(f"the bytes are not a {schema.name} as the registry knows it: {error!r}") from error
