"""The dataclasses and the schema files say the same."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.messages.codec import Codec, read_schema, schema_file, schema_folder
from penstock.messages.records import RECORDS, Record

from .generated import records

CODEC = Codec()
_TYPES = {str: "string", bool: "boolean", bytes: "bytes", float: "double", type(None): "null"}


def avro_type(annotation: Any) -> Any:
    """The Avro type that a field's annotation stands for; of an integer, both widths will do."""
    annotation = getattr(annotation, "__supertype__", annotation)
    if annotation is int:
        return ("int", "long")
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"array": avro_type(arguments[0])}
    if origin is not None and issubclass_of_mapping(origin):
        return {"map": avro_type(arguments[1])}
    if len(arguments) > 1:
        return sorted((avro_type(each) for each in arguments), key=lambda name: name != "null")
    return _TYPES[annotation]


def issubclass_of_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def plain_type(schema: Any) -> Any:
    """An Avro type in the same words."""
    if isinstance(schema, list):
        return [plain_type(branch) for branch in schema]
    if isinstance(schema, str):
        return ("int", "long") if schema in ("int", "long") else schema
    return {
        "array": lambda: {"array": plain_type(schema["items"])},
        "map": lambda: {"map": plain_type(schema["values"])},
        "enum": lambda: {"enum": schema["symbols"]},
    }[schema["type"]]()


def default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_fields_types_and_defaults_agree(cls: type[Record]) -> None:
    """Every field of a schema is a field of its dataclass, of the same type and with the same default."""
    annotations = typing.get_type_hints(cls)
    in_python = {f.name: (avro_type(annotations[f.name]), default_of(f)) for f in dataclasses.fields(cls)}
    in_avro = {
        field["name"]: (plain_type(field["type"]), field.get("default", dataclasses.MISSING))
        for field in read_schema(cls)["fields"]
    }
    assert in_python == in_avro


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_field_is_explained(cls: type[Record]) -> None:
    """Who reads only the schema learns what record and field mean."""
    schema = read_schema(cls)
    assert (schema["name"], schema["namespace"]) == (cls.__name__, "penstock")
    assert schema["doc"]
    assert all(field["doc"] for field in schema["fields"])


def test_every_schema_file_has_its_record() -> None:
    """No schema lies about without a dataclass, and none is missing."""
    assert {path.name for path in schema_folder().glob("*.avsc")} == {schema_file(cls) for cls in RECORDS}


@settings(max_examples=300)
@given(st.sampled_from(RECORDS).flatmap(records))
def test_every_record_survives_its_encoding(record: Record) -> None:
    """What is written is what is read."""
    assert CODEC.decode(CODEC.encode(record)) == record


@settings(max_examples=100)
@given(st.sampled_from(RECORDS).flatmap(records))
def test_every_record_survives_confluent_framing(record: Record) -> None:
    """The same with the ids of a schema registry."""
    codec = Codec({cls.__name__: 100 + place for place, cls in enumerate(RECORDS)})
    written = codec.encode(record)
    assert written[:1] == b"\0"
    assert int.from_bytes(written[1:5], "big") == 100 + RECORDS.index(type(record))
    assert codec.decode(written) == record
