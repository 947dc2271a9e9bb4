"""Which schemas of strangers are read with, and which would let a record do harm."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from penstock.errors import UndecodableRecord
from penstock.messages.writer_schemas import MAX_DECIMAL_BYTES, avro_schema


def record(*types: Any, name: str = "shop.Order") -> dict[str, Any]:
    fields = [{"name": f"f{place}", "type": each} for place, each in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields}


EVERYTHING = record(
    "string",
    ["null", "string"],
    {"type": "array", "items": ["null", record("int", name="Line")]},
    {"type": "map", "values": "null"},
    {"type": "enum", "name": "Kind", "symbols": ["A"]},
    {"type": "fixed", "name": "Md5", "size": 16},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "long", "logicalType": "timestamp-millis"},
    "Line",
)


def test_ordinary_schemas_are_read_with() -> None:
    """Every type that people use; the name is the full one."""
    schema = avro_schema(EVERYTHING)
    assert (schema.kind, schema.name) == ("AVRO", "shop.Order")
    assert schema.parsed is not None


def test_a_schema_without_a_name() -> None:
    """A bare type, or a union of records, has no name of its own."""
    assert avro_schema("string").name == ""
    assert avro_schema([record("int", name="a.A"), record("int", name="a.B")]).name == ""


@pytest.mark.parametrize(
    "schema",
    [
        record(["null", "shop.Order"]),
        record({"type": "array", "items": "shop.Order"}),
        record({"type": "map", "values": record(["null", "shop.Order"], name="shop.Inner")}),
    ],
)
def test_recursive_schemas_are_refused(schema: dict[str, Any]) -> None:
    """A few kilobytes of them would overflow the reader's C stack, directly or through another record."""
    with pytest.raises(UndecodableRecord, match=r"contains itself.*send such data as JSON"):
        avro_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": "null"},
        {"type": "array", "items": record(name="Empty")},
        {"type": "array", "items": {"type": "fixed", "name": "None_", "size": 0}},
        record("null"),
        record(record(record("null", name="C"), name="B")),
    ],
)
def test_types_that_take_no_bytes_are_refused(schema: Any) -> None:
    """A count of nine bytes would make any number of them."""
    with pytest.raises(UndecodableRecord, match=r"takes no bytes.*union with null"):
        avro_schema(schema)


@pytest.mark.parametrize("schema", [{}, {"type": "nonsense"}, {"type": "record"}, 5, None, {"type": "array"}])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    """Whatever the parser stumbles over becomes one error."""
    with pytest.raises(UndecodableRecord, match="not valid Avro"):
        avro_schema(schema)


def test_types_may_come_from_other_schemas() -> None:
    """A schema may refer to types that another one defined before."""
    named: dict[str, Any] = {}
    avro_schema(record("int", name="shop.Line"), named)
    assert avro_schema(record({"type": "array", "items": "shop.Line"}), named).name == "shop.Order"


def test_long_decimals_are_refused_quickly() -> None:
    """A decimal of a megabyte would take minutes; one of ordinary length is read."""
    schema = avro_schema(record({"type": "bytes", "logicalType": "decimal", "precision": 9000, "scale": 2}))
    assert schema.parsed is not None
    for size, error in ((MAX_DECIMAL_BYTES, None), (MAX_DECIMAL_BYTES + 1, "a decimal of 1025 bytes")):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(record("bytes")), {"f0": b"\x7f" * size})
        out.seek(0)
        if error is None:
            assert fastavro.schemaless_reader(out, schema.parsed, None)["f0"] > 0  # type: ignore[index,operator]
        else:
            with pytest.raises(ValueError, match=error):
                fastavro.schemaless_reader(out, schema.parsed, None)
