"""Whatever lies on the events topic: an event within the limits, or a reason. Never a crash."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.errors import UndecodableRecord
from penstock.messages.codec import CONFLUENT, Codec
from penstock.messages.ids import is_ulid
from penstock.messages.incoming import EARLIEST_MS, LATEST_MS, MAX_NAME_CHARACTERS, Arrival, IncomingEvents
from penstock.messages.records import Event
from penstock.messages.writer_schemas import WriterSchema, avro_schema
from tests.property.effort import examples

from ..unit.messages.generated import records

CODEC = Codec()
SCHEMAS: list[Any] = [
    {
        "type": "record",
        "name": "shop.Order",
        "fields": [
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "tags", "type": {"type": "array", "items": ["null", "string", "double"]}},
            {"name": "by", "type": {"type": "map", "values": {"type": "fixed", "name": "F", "size": 2}}},
        ],
    },
    {
        "type": "record",
        "name": "shop.Envelope",
        "fields": [
            {"name": "name", "type": "string"},
            {"name": "data", "type": ["null", "string", {"type": "map", "values": "float"}]},
            {"name": "ts", "type": ["null", "long", "double", "string"]},
            {"name": "user", "type": ["null", "string", "bytes"]},
        ],
    },
    "long",
    ["null", {"type": "array", "items": "long"}],
]
LOCAL_TIMES = [{"type": "long", "logicalType": f"local-timestamp-{unit}"} for unit in ("millis", "micros")]
SCHEMAS += [
    {
        "type": "record",
        "name": "shop.Local",
        "fields": [
            {"name": "name", "type": "string"},
            {"name": "data", "type": {"type": "map", "values": local}},
            {"name": "ts", "type": local},
        ],
    }
    for local in LOCAL_TIMES
]
#: Microseconds from 1970 to the first and the last moment that a date can name.
FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999


class Registry:
    """The schemas above by their place, and JSON as id 9."""

    parsed = tuple(avro_schema(schema) for schema in SCHEMAS)

    def schema(self, schema_id: int) -> WriterSchema | None:
        if schema_id == 9:
            return WriterSchema("JSON", "")
        return self.parsed[schema_id] if schema_id < len(self.parsed) else None


INCOMING = IncomingEvents(CODEC, Registry())


def outcome(value: bytes | None, headers: Any = (), timestamp: int = 1_700_000_000_000) -> Event | None:
    """The event, having checked its promises; None for a record that was refused with a reason."""
    arrival = Arrival("events", 0, 1, timestamp, value, headers)
    try:
        event = INCOMING.decode(arrival)
    except UndecodableRecord as error:
        if not str(error):
            pytest.fail("refused without a reason")
        return None
    assert 0 < len(event.name) <= MAX_NAME_CHARACTERS
    assert is_ulid(event.internal_id)
    assert EARLIEST_MS <= event.ts <= LATEST_MS
    assert EARLIEST_MS <= event.received_at <= LATEST_MS
    assert isinstance(orjson.loads(event.data), dict | None)
    assert isinstance(orjson.loads(event.user), dict)
    assert INCOMING.decode(arrival) == event
    assert INCOMING.decode(Arrival("events", 0, 1, timestamp, CODEC.encode(event))) == event
    return event


def mutate(value: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    mutated = bytearray(value)
    for place, byte in changes:
        if mutated:
            mutated[place % len(mutated)] = byte
    return bytes(mutated[: len(mutated) - cut % (len(mutated) + 1)] if cut else mutated)


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ("name", "data", "id", "ts", "user", "v", "specversion", "type", "time", "source", "subject")


@settings(max_examples=examples(500))
@given(st.binary(max_size=64))
@example(b"")
@example(b"{")
@example(b"\xc3\x01")
@example(b"\0\0\0\0\0")
def test_any_bytes(value: bytes) -> None:
    """Bytes out of nothing."""
    outcome(value)


@settings(max_examples=examples(500))
@given(records(Event), CHANGES, st.integers(0, 50))
def test_our_event_with_bytes_changed(event: Any, changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes flipped and cut behind and in our own header."""
    outcome(mutate(CODEC.encode(event), changes, cut if cut > 40 else 0))


@settings(max_examples=examples(500))
@given(st.integers(0, len(SCHEMAS)), st.binary(max_size=80))
def test_any_bytes_under_a_registered_schema(schema_id: int, body: bytes) -> None:
    """What the registry's schema says of them is rarely true."""
    outcome(CONFLUENT + schema_id.to_bytes(4, "big") + body)


@settings(max_examples=examples(300))
@given(
    st.fixed_dictionaries(
        {
            "name": st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
            "data": st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=8) | st.just("{}"),
            "ts": st.none() | st.integers(-(1 << 62), 1 << 62) | st.floats(),
            "user": st.none() | st.binary(max_size=4),
        }
    ),
    CHANGES,
)
def test_a_registered_record_with_bytes_changed(row: dict[str, Any], changes: list[tuple[int, int]]) -> None:
    """Records in the shape of an event whose fields hold other types, then damaged."""
    out = io.BytesIO()
    out.write(CONFLUENT + (1).to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMAS[1]), row)
    outcome(mutate(out.getvalue(), changes, 0))


@settings(max_examples=examples(300))
@given(st.integers(FIRST_MICROS, LAST_MICROS) | st.integers(-(1 << 63), (1 << 63) - 1), st.booleans())
@example(FIRST_MICROS, True)
@example(LAST_MICROS, True)
@example(FIRST_MICROS, False)
@example(LAST_MICROS, False)
def test_any_local_time(micros: int, as_micros: bool) -> None:
    """Also the first and the last that there is, as the event's time and in its data."""
    at, schema_id = (micros, len(SCHEMAS) - 1) if as_micros else (micros // 1000, len(SCHEMAS) - 2)
    out = io.BytesIO()
    out.write(CONFLUENT + schema_id.to_bytes(4, "big"))
    row = {"name": "a", "data": {"at": at}, "ts": at}
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMAS[schema_id]), row)
    event = outcome(out.getvalue())
    assert event is None or event.ts == (micros // 1000 or 1_700_000_000_000)


@settings(max_examples=examples(500))
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), st.booleans())
def test_json_with_any_members(value: dict[str, Any], registered: bool) -> None:
    """Members that mean something, of types that do not."""
    try:
        text = orjson.dumps(value)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return
    outcome(b"\0\0\0\0\x09" + text if registered else text)


@settings(max_examples=examples(300))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["ce_specversion", "ce_type", "ce_id", "ce_time", "ce_source", "ce_data_base64", "penstock-event-name"]
            ),
            st.none() | st.binary(max_size=12) | st.sampled_from([b"1.0", b"shop/paid", b"2026-08-31T12:00:00Z"]),
        ),
        max_size=6,
    ),
    st.sampled_from([None, b"", b"{}", b"[]", b'{"name":"a","data":{}}', b"\0\0\0\0\x02\x02", b"x"]),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_any_headers(headers: list[tuple[str, bytes | None]], value: bytes | None, timestamp: int) -> None:
    """Headers that name an event, with anything in them, around anything."""
    outcome(value, headers, timestamp)


@settings(max_examples=examples(200))
@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from(["json", "avro"]))
def test_good_events_pass(data: dict[str, Any], encoding: str) -> None:
    """The same data is the same event in both encodings: refusing everything would not do."""
    try:
        text = orjson.dumps(data).decode()
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return
    value = b'{"name":"a","data":' + text.encode() + b"}" if encoding == "json" else CODEC.encode(Event("a", text))
    event = outcome(value)
    assert event is not None
    expected = {key: inner for key, inner in orjson.loads(text).items() if key != "_inngest"}
    assert orjson.loads(event.data) == expected
