"""Events out of any encoding, and reasons out of everything else."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import fastavro
import orjson
import pytest

from penstock.errors import Unavailable, UndecodableRecord
from penstock.messages.codec import CONFLUENT, Codec
from penstock.messages.ids import record_event_id
from penstock.messages.incoming import MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS, Arrival, IncomingEvents
from penstock.messages.payload import PayloadLimits
from penstock.messages.records import Event, OffsetApplied
from penstock.messages.writer_schemas import WriterSchema, avro_schema

NOW = 1_700_000_000_000
DAY = 24 * 3600 * 1000
ULID = "01HF7YAT00KHTH0Q4KBJ419Z3M"
CODEC = Codec()
ORDER = {
    "type": "record",
    "name": "shop.Order",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "paid_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
EVENT_LIKE = {
    "type": "record",
    "name": "shop.Envelope",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "data", "type": {"type": "map", "values": "int"}},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
TEXT_DATA = {
    "type": "record",
    "name": "shop.Text",
    "fields": [{"name": "name", "type": "string"}, {"name": "data", "type": "string"}],
}


LOCAL_TIMES = [
    {
        "type": "record",
        "name": f"shop.Local{unit}",
        "fields": [
            {"name": "name", "type": "string"},
            {"name": "data", "type": {"type": "map", "values": "long"}},
            {"name": "ts", "type": {"type": "long", "logicalType": f"local-timestamp-{unit}"}},
        ],
    }
    for unit in ("millis", "micros")
]


class Registry:
    """Schemas by id; id 500 is a registry that does not answer."""

    schemas: ClassVar = {
        1: avro_schema(ORDER),
        2: avro_schema(EVENT_LIKE),
        3: avro_schema(TEXT_DATA),
        4: WriterSchema("JSON", ""),
        5: avro_schema("string"),
        6: avro_schema(LOCAL_TIMES[0]),
        7: avro_schema(LOCAL_TIMES[1]),
    }

    def schema(self, schema_id: int) -> WriterSchema | None:
        if schema_id == 500:
            raise Unavailable("away")
        return self.schemas.get(schema_id)


INCOMING = IncomingEvents(CODEC, Registry())


def arrival(value: bytes | None, timestamp: int = NOW, **headers: str) -> Arrival:
    named = [(key.replace("__", "-"), text.encode()) for key, text in headers.items()]
    return Arrival("penstock.events", 2, 7, timestamp, value, named)


def decode(value: bytes | None, internal: bool = False, timestamp: int = NOW, **headers: str) -> Event:
    return INCOMING.decode(arrival(value, timestamp, **headers), internal)


def decode_json(value: Any, internal: bool = False, **headers: str) -> Event:
    return decode(json.dumps(value).encode(), internal, **headers)


def confluent(schema_id: int, schema: Any, row: Any) -> bytes:
    out = io.BytesIO()
    out.write(CONFLUENT + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def test_what_ingest_wrote_stays_as_it_is() -> None:
    """A complete event of ours is passed on without a change, its text included."""
    event = Event("a/b", '{"n": 1}', "id-1", NOW - 5, '{"u":1}', "v1", ULID, NOW, "http")
    assert decode(CODEC.encode(event)) == event


def test_what_a_producer_left_out_is_filled_in() -> None:
    """Internal id from the record's place, times from its timestamp; its own id stays empty."""
    expected = Event("a", "{}", "", NOW, "{}", None, record_event_id("penstock.events", 2, 7, NOW), NOW, "kafka")
    assert decode(CODEC.encode(Event("a"))) == expected
    assert decode(b'{"name":"a"}') == expected
    assert decode(b' \n{"name":"a","data":{},"user":null,"id":null,"ts":0,"v":null}') == expected


def test_every_field_of_the_json_shape() -> None:
    """The shape that HTTP takes is read from Kafka too; members that we do not know are passed over."""
    event = decode_json({"name": "a", "data": {"é": [1]}, "id": "x", "ts": 5 + NOW, "user": {"u": 1}, "v": "2", "z": 1})
    assert event == Event(
        "a", '{"é":[1]}', "x", NOW + 5, '{"u":1}', "2", record_event_id("penstock.events", 2, 7, NOW), NOW, "kafka"
    )


def test_data_may_be_null() -> None:
    """Null stays null in every encoding."""
    assert decode(b'{"name":"a","data":null}').data == "null"
    assert decode(CODEC.encode(Event("a", "null"))).data == "null"


@pytest.mark.parametrize("stamp", [0, -1, NOW - 2 * DAY, NOW + 2 * DAY, 1 << 62])
def test_a_reception_time_that_cannot_be_is_not_believed(stamp: int) -> None:
    """Strangers may write anything: further than a day from the record's own time it is replaced."""
    assert decode(CODEC.encode(Event("a", received_at=stamp))).received_at == NOW
    assert decode(CODEC.encode(Event("a", received_at=NOW - DAY))).received_at == NOW - DAY


@pytest.mark.parametrize("timestamp", [-1, 0, 1 << 60])
def test_a_record_without_a_sane_timestamp_still_has_one_id(timestamp: int) -> None:
    """The bounds stand in, so that every reader derives the same id."""
    event = decode(b'{"name":"a"}', timestamp=timestamp)
    assert 315_532_800_000 <= event.received_at <= 4_102_444_800_000
    assert event.internal_id == record_event_id("penstock.events", 2, 7, event.received_at)


def test_a_cloud_event_in_structured_mode() -> None:
    """One JSON object with its attributes."""
    event = decode_json(
        {
            "specversion": "1.0",
            "type": "shop/paid",
            "id": "1",
            "source": "/s",
            "time": "2023-11-14T22:13:21Z",
            "data": {},
        }
    )
    assert (event.name, event.id, event.ts, event.data) == ("shop/paid", "1", NOW + 1000, "{}")
    assert event.user == '{"source":"/s"}'


def test_a_cloud_event_in_binary_mode() -> None:
    """Attributes in headers, around JSON or around Avro."""
    attributes = {"ce_specversion": "1.0", "ce_type": "shop/paid", "ce_id": "1"}
    assert decode(b'{"name":"x","n":1}', **attributes).data == '{"name":"x","n":1}'
    assert decode(None, **attributes).data == "null"
    order = confluent(1, ORDER, {"order_id": "o", "amount": b"\1", "paid_at": 0})
    event = decode(order, **attributes)
    assert (event.name, event.id, orjson.loads(event.data)["order_id"]) == ("shop/paid", "1", "o")


def test_a_record_of_the_users_own_becomes_the_data() -> None:
    """Its schema's full name is the event's name; decimals and times become JSON."""
    event = decode(confluent(1, ORDER, {"order_id": "o", "amount": b"\x04\xe2", "paid_at": NOW}))
    assert event.name == "shop.Order"
    assert event.data == '{"order_id":"o","amount":12.50,"paid_at":"2023-11-14T22:13:20+00:00"}'


def test_a_header_names_the_event() -> None:
    """`penstock-event-name` and `penstock-event-id` make an event of any Avro record or JSON object."""
    headers = {"penstock__event__name": "shop/paid", "penstock__event__id": "o-1"}
    order = confluent(1, ORDER, {"order_id": "o", "amount": b"\1", "paid_at": 0})
    for value in (order, b'{"order_id":"o"}'):
        event = decode(value, **headers)
        assert (event.name, event.id) == ("shop/paid", "o-1")
        assert orjson.loads(event.data)["order_id"] == "o"
    assert decode(b'{"name":"own","data":{}}', **headers).name == "own"


def test_an_avro_record_in_the_shape_of_an_event() -> None:
    """Fields `name` and `data` make an event, be `data` a record, a map or JSON text."""
    event = decode(confluent(2, EVENT_LIKE, {"name": "a", "data": {"n": 1}, "ts": NOW + 1}))
    assert (event.name, event.data, event.ts) == ("a", '{"n":1}', NOW + 1)
    event = decode(confluent(3, TEXT_DATA, {"name": "a", "data": '{"n": 1}'}))
    assert (event.name, event.data) == ("a", '{"n": 1}')


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the machine."""
    name: str = request.param
    with monkeypatch.context() as patched:
        patched.setenv("TZ", name)
        time.tzset()
        yield name
    time.tzset()


@pytest.mark.parametrize("schema_id", [6, 7])
def test_a_local_time_is_read_alike_on_every_machine(schema_id: int, zone: str) -> None:
    """It has no zone: UTC, whichever is the machine's."""
    schema, at = LOCAL_TIMES[schema_id - 6], datetime(2026, 7, 1, 12, 0, 0, 5000)
    event = decode(confluent(schema_id, schema, {"name": "a", "data": {}, "ts": at}))
    assert event.ts == int(at.replace(tzinfo=UTC).timestamp() * 1000), zone


@pytest.mark.parametrize("schema_id", [6, 7])
@pytest.mark.parametrize("at", [datetime.min, datetime.max])
def test_a_local_time_at_the_end_of_all_time_is_refused(schema_id: int, at: datetime, zone: str) -> None:
    """The first and the last that there is, which not every zone can tell as UTC."""
    value = confluent(schema_id, LOCAL_TIMES[schema_id - 6], {"name": "a", "data": {}, "ts": at})
    with pytest.raises(UndecodableRecord, match="of the years 1980 to 2100"):
        decode(value)
    assert zone


@pytest.mark.parametrize("error", [ValueError("odd"), OverflowError("large"), RecursionError("deep")])
def test_what_nobody_foresaw_is_the_records_fault(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the topic passes such a record over instead of stopping at it."""

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("penstock.messages.incoming.parse_json", broken)
    with pytest.raises(UndecodableRecord, match="please report it") as refused:
        decode(b'{"name":"a"}')
    assert refused.value.__cause__ is error


def test_a_want_of_memory_is_not_the_records_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process may have enough."""

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("penstock.messages.incoming.parse_json", broken)
    with pytest.raises(MemoryError):
        decode(b'{"name":"a"}')


def test_json_with_a_registered_schema() -> None:
    """Confluent's JSON serializer puts the same header before JSON."""
    assert decode(b'\0\0\0\0\x04{"name":"a","data":{"n":1}}').data == '{"n":1}'


def test_our_event_with_registry_ids() -> None:
    """What ingest writes when a registry is configured."""
    ids = dict.fromkeys((cls.__name__ for cls in CODEC._by_class), 900)
    codec = Codec(ids | {"Event": 901})
    value = codec.encode(Event("a", '{"n":1}', "i", NOW, "{}", None, ULID, NOW, "http"))
    event = IncomingEvents(codec, Registry()).decode(arrival(value))
    assert (event.internal_id, event.source) == (ULID, "http")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the record is empty: send JSON"),
        (b"", "the record is empty"),
        (b"\xff\xfe", "unknown encoding, starting with ff fe: send JSON"),
        (b"hello", "unknown encoding"),
        (b"\0\0", "unknown encoding"),
        (b"[]", "one record holds one event"),
        (b'[{"name":"a"}]', "one record holds one event"),
        (b'{"name":', "the record is not valid JSON"),
        (b'{"data":{}}', 'the event has no name: put it into the field "name" or into the header penstock-event-name'),
        (b'{"name":5}', "name must be text, not int"),
        (b'{"name":"a","id":5}', "id must be text"),
        (b'{"name":"a","v":5}', "v must be text"),
        (b'{"name":"a","data":[]}', "data must be an object or null, not an array"),
        (b'{"name":"a","data":"x"}', "data must be an object or null, not text"),
        (b'{"name":"a","user":[1]}', "user must be an object or null"),
        (b'{"name":"a","ts":"now"}', "ts must be whole milliseconds"),
        (b'{"name":"a","ts":1.5}', "ts must be whole milliseconds"),
        (b'{"name":"a","ts":true}', "ts must be whole milliseconds"),
        (b'{"name":"a","ts":1e400}', "not valid JSON|ts must be whole milliseconds"),
        (b'{"name":"a","ts":1700000000}', "ts must be milliseconds since 1970, of the years 1980 to 2100"),
        (b'{"name":"a","ts":99999999999999}', "of the years 1980 to 2100"),
        (CODEC.encode(OffsetApplied(1)), "a OffsetApplied does not belong here"),
        (CODEC.encode(Event("a", data="[]")), "data must be an object or null"),
        (CODEC.encode(Event("a", data="")), "data is not valid JSON"),
        (CODEC.encode(Event("a", user="1")), "user must be an object or null"),
        (CODEC.encode(Event("a", ts=1)), "ts must be milliseconds since 1970"),
        (CODEC.encode(Event("a", internal_id="x")), "internal_id must be a ULID, or empty"),
        (CODEC.encode(Event("")), "the event has no name"),
        (CODEC.encode(Event("n" * (MAX_NAME_CHARACTERS + 1))), "name is longer than 1024"),
        (CODEC.encode(Event("n", id="i" * (MAX_ID_CHARACTERS + 1))), "id is longer than 1024"),
        (CODEC.encode(Event("n", v="i" * 257)), "v is longer than 256"),
        (CODEC.encode(Event("n"))[:-1], "broken Event record"),
        (b"\xc3\x01" + b"\1" * 20, "no record of ours starts with"),
        (b"\0\0\0\0\x63abc", "the schema registry has no schema 99: register it"),
        (b"\0\0\0\0\x01\xff", "the bytes are not a shop.Order"),
        (b"\0\0\0\0\x05\x02a", "data must be an object or null, not text"),
    ],
)
def test_what_is_no_event_is_told_why(value: bytes | None, reason: str) -> None:
    """Each reason says what is wrong, and most what to do."""
    with pytest.raises(UndecodableRecord, match=reason):
        decode(value)


@pytest.mark.parametrize("name", ["inngest/function.finished", "INNGEST/x"])
def test_names_of_the_system_are_for_the_system(name: str) -> None:
    """Refused on the public topic in every encoding, allowed on the internal one."""
    for value in (CODEC.encode(Event(name)), json.dumps({"name": name}).encode()):
        with pytest.raises(UndecodableRecord, match="are the system's: choose another"):
            decode(value)
        assert decode(value, internal=True).name == name


def test_data_of_the_system_is_for_the_system() -> None:
    """`data._inngest` is taken out on the public topic, kept on the internal one."""
    for value in (CODEC.encode(Event("a", '{"_inngest":{},"n":1}')), b'{"name":"a","data":{"_inngest":{},"n":1}}'):
        assert decode(value).data == '{"n":1}'
        assert "_inngest" in decode(value, internal=True).data


def test_large_payloads_are_refused() -> None:
    """Three MiB by default; the installation may allow more."""
    large = Event("a", '{"x":"' + "y" * (3 * 1024 * 1024) + '"}')
    for value in (CODEC.encode(large), b'{"name":"a","data":' + large.data.encode() + b"}"):
        with pytest.raises(UndecodableRecord, match="data is larger than 3 MiB: store it elsewhere"):
            decode(value)
        generous = IncomingEvents(CODEC, limits=PayloadLimits(max_bytes=8 * 1024 * 1024))
        assert generous.decode(arrival(value)).data == large.data


def test_headers_that_are_no_text() -> None:
    """Only headers that name an event matter, and they must be UTF-8."""
    named = Arrival("t", 0, 0, NOW, b'{"n":1}', [("penstock-event-name", b"\xff"), ("trace", b"\xff")])
    with pytest.raises(UndecodableRecord, match="header that names the event is not UTF-8"):
        INCOMING.decode(named)
    other = Arrival("t", 0, 0, NOW, b'{"name":"a"}', [("trace", b"\xff"), ("ce_type", None)])
    assert INCOMING.decode(other).name == "a"


def test_a_registry_that_is_away_is_not_the_records_fault() -> None:
    """`Unavailable` passes through: the record is to be read again, not thrown away."""
    with pytest.raises(Unavailable):
        decode(b"\0\0\0\x01\xf4abc")


def test_without_a_registry_the_setting_is_named() -> None:
    """Whoever has none learns how to have one."""
    with pytest.raises(UndecodableRecord, match="set PENSTOCK_SCHEMA_REGISTRY_URL"):
        IncomingEvents(CODEC).decode(arrival(b"\0\0\0\0\x01abc"))
