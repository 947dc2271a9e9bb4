"""Framing, broken bytes, and other writers' schemas of our records."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from penstock.errors import UndecodableRecord
from penstock.messages.codec import CONFLUENT, SINGLE_OBJECT, Codec, read_schema, schema_fingerprint
from penstock.messages.records import CancelRun, Event, OffsetApplied
from penstock.messages.writer_schemas import WriterSchema, avro_schema

CODEC = Codec()


class Registry:
    """Schemas by id, as a registry would answer."""

    def __init__(self, schemas: dict[int, Any]) -> None:
        self._schemas = schemas

    def schema(self, schema_id: int) -> WriterSchema | None:
        found = self._schemas.get(schema_id)
        return None if found is None else avro_schema(found)


def confluent(schema_id: int, schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(CONFLUENT + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def test_single_object_encoding_starts_with_marker_and_fingerprint() -> None:
    """Ten bytes say what follows, so that any Avro client can read and write our records."""
    written = CODEC.encode(OffsetApplied(7))
    assert written == SINGLE_OBJECT + schema_fingerprint(read_schema(OffsetApplied)) + b"\x0e\x00"


@pytest.mark.parametrize(("name", "published"), [("null", 0x63DD24E7CC258F8A), ("int", 0x7275D51A3F395C8F)])
def test_the_fingerprint_is_crc_64_avro(name: str, published: int) -> None:
    """The values of Avro's specification, in the byte order of its single-object encoding."""
    schema: dict[str, Any] = {"type": name}
    assert schema_fingerprint(schema) == published.to_bytes(8, "little")


@pytest.mark.parametrize("value", [b"", b"\0", b"{}", b"\xc3\x01", b"\xc3\x01" + b"\0" * 8, b"\0\0\0\0\x09abc"])
def test_foreign_bytes_are_refused_with_their_beginning(value: bytes) -> None:
    """Bytes of no record of ours say so."""
    with pytest.raises(UndecodableRecord, match="no record of ours starts with"):
        CODEC.decode(value)


@pytest.mark.parametrize("cut", [11, 12, 20])
def test_a_record_cut_short_is_refused(cut: int) -> None:
    """The error names the record."""
    with pytest.raises(UndecodableRecord, match="broken CancelRun record"):
        CODEC.decode(CODEC.encode(CancelRun("01JABCDEFGHJKMNPQRSTVWXYZ0", "why"))[:cut])  # type: ignore[arg-type]


def test_another_record_than_expected_is_refused() -> None:
    """`decode_as` names both."""
    with pytest.raises(UndecodableRecord, match="expected Event, found OffsetApplied"):
        CODEC.decode_as(Event, CODEC.encode(OffsetApplied(1)))


def test_an_older_release_is_read_through_the_registry() -> None:
    """A registered schema of ours with fewer fields is resolved: the new fields get their defaults."""
    older = read_schema(Event)
    older["fields"] = [field for field in older["fields"] if field["name"] in ("name", "data")]
    codec = Codec(schemas=Registry({41: older}))
    value = confluent(41, older, {"name": "shop/paid", "data": '{"n":1}'})
    assert codec.knows(value)
    assert codec.decode(value) == Event("shop/paid", '{"n":1}')


def test_a_newer_release_is_read_through_the_registry() -> None:
    """Fields that this release does not know are passed over."""
    newer = read_schema(OffsetApplied)
    newer["fields"].insert(0, {"name": "epoch", "type": "long", "default": 0})
    codec = Codec(schemas=Registry({42: newer}))
    assert codec.decode(confluent(42, newer, {"epoch": 9, "offset": 5})) == OffsetApplied(5)


def test_logical_types_of_others_stay_plain() -> None:
    """A writer that calls `ts` a timestamp still writes milliseconds."""
    theirs = read_schema(Event)
    for field in theirs["fields"]:
        if field["name"] == "ts":
            field["type"] = {"type": "long", "logicalType": "timestamp-millis"}
    codec = Codec(schemas=Registry({43: theirs}))
    event = codec.decode(confluent(43, theirs, {"name": "a", "ts": 1_700_000_000_000}))
    assert isinstance(event, Event)
    assert event.ts == 1_700_000_000_000


def test_a_registered_schema_of_another_record_is_not_ours() -> None:
    """Only records in our namespace are taken for ours."""
    codec = Codec(schemas=Registry({44: {"type": "record", "name": "shop.Event", "fields": []}}))
    assert not codec.knows(b"\0\0\0\0\x2c")
    assert not codec.knows(b"\0\0\0\0\x2d")
    assert not codec.knows(b"\0\0")
