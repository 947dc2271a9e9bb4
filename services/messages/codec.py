"""Records to bytes and back.

Two framings, told apart by their first bytes: Avro single-object encoding (`C3 01` and the schema's 8-byte
fingerprint), written by default; and Confluent framing (`00` and a 4-byte schema id), written when a schema registry
has given ids to our schemas. Reading resolves an older writer's schema against today's, so records stay readable
as schemas evolve; a released predecessor lies in `schemas/avro/released/`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from ..errors import UndecodableRecord
from .records import RECORDS, Record
from .writer_schemas import WriterSchemas, without_logical_types

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"

R = TypeVar("R", bound=Record)
Schema = dict[str, Any]


def schema_folder() -> Path:
    """Where the `.avsc` files are: inside the package when installed, at the root of a checkout otherwise."""
    packaged = Path(__file__).parent / "avro"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "schemas" / "avro"


def schema_file(record: type[Record]) -> str:
    """`RunStarted` → `run_started.avsc`."""
    name = record.__name__
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name)) + ".avsc"


def read_schema(record: type[Record]) -> Schema:
    """The record's schema, as its file says it."""
    schema: Schema = json.loads((schema_folder() / schema_file(record)).read_text("utf-8"))
    return schema


def schema_fingerprint(schema: Schema) -> bytes:
    """CRC-64-AVRO of the schema's parsing canonical form: the 8 bytes that follow `C3 01`."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class _RecordType:
    """One record class with its parsed schema and the header its values carry."""

    __slots__ = ("cls", "header", "is_array", "names", "parsed", "values")

    def __init__(self, cls: type[Record], header: bytes) -> None:
        schema = read_schema(cls)
        self.cls = cls
        self.header = header
        self.parsed = fastavro.parse_schema(schema)
        self.names = tuple(field["name"] for field in schema["fields"])
        self.is_array = tuple(
            field["name"]
            for field in schema["fields"]
            if isinstance(field["type"], dict) and field["type"]["type"] == "array"
        )
        self.values: Callable[[Record], Any] = attrgetter(*self.names)

    def write(self, record: Record) -> bytes:
        out = io.BytesIO()
        out.write(self.header)
        values = self.values(record)
        row = dict(zip(self.names, values if len(self.names) > 1 else (values,), strict=True))
        fastavro.schemaless_writer(out, self.parsed, row)
        return out.getvalue()

    def build(self, row: dict[str, Any]) -> Record:
        for name in self.is_array:
            row[name] = tuple(row[name])
        return self.cls(**row)


class Codec:
    """Writes and reads every record of ours. One instance per process; holds no connection."""

    def __init__(self, registry_ids: Mapping[str, int] | None = None, schemas: WriterSchemas | None = None) -> None:
        """`registry_ids`: record name → schema id, when a schema registry is configured.

        `schemas` looks up what other releases (or other writers of our records) have registered.
        """
        self._schemas = schemas
        self._by_class: dict[type[Record], _RecordType] = {}
        self._by_header: dict[bytes, tuple[_RecordType, Schema | str | list[Any]]] = {}
        for cls in RECORDS:
            single = SINGLE_OBJECT + schema_fingerprint(read_schema(cls))
            header = single
            if registry_ids is not None:
                header = CONFLUENT + registry_ids[cls.__name__].to_bytes(4, "big")
            record_type = _RecordType(cls, header)
            self._by_class[cls] = record_type
            self._by_header[single] = self._by_header[header] = (record_type, record_type.parsed)
            for released in sorted((schema_folder() / "released").glob(f"*/{schema_file(cls)}")):
                old: Schema = json.loads(released.read_text("utf-8"))
                old_header = SINGLE_OBJECT + schema_fingerprint(old)
                self._by_header.setdefault(old_header, (record_type, fastavro.parse_schema(old)))

    def encode(self, record: Record) -> bytes:
        """The record's bytes, with the framing that this process writes."""
        return self._by_class[type(record)].write(record)

    def decode(self, value: bytes) -> Record:
        """The record that the bytes hold; `UndecodableRecord` says what is wrong with them."""
        known = self._by_header.get(value[:10]) or self._by_header.get(value[:5]) or self._learn(value)
        if known is None:
            raise UndecodableRecord(f"no record of ours starts with {value[:10].hex(' ') or 'nothing'}")
        record_type, writer = known
        source = io.BytesIO(value)
        source.seek(10 if value[:2] == SINGLE_OBJECT else 5)
        try:
            row = fastavro.schemaless_reader(
                source, writer, record_type.parsed if writer is not record_type.parsed else None
            )
            return record_type.build(row)  # type: ignore[arg-type]
        except MemoryError:  # says nothing about the bytes
            raise
        except Exception as error:  # fastavro raises whatever the bytes make it stumble over
            raise UndecodableRecord(f"broken {record_type.cls.__name__} record: {error!r}") from error

    def knows(self, value: bytes) -> bool:
        """True when the bytes' header names a schema of one of our records."""
        known = value[:10] in self._by_header or value[:5] in self._by_header
        return known or self._learn(value) is not None

    def decode_as(self, cls: type[R], value: bytes) -> R:
        """Like `decode`, for a place where only one record type makes sense."""
        record = self.decode(value)
        if not isinstance(record, cls):
            raise UndecodableRecord(f"expected {cls.__name__}, found {type(record).__name__}")
        return record

    def _learn(self, value: bytes) -> tuple[_RecordType, Schema | str | list[Any]] | None:
        """Our record type under a registered schema that is not the one this process writes."""
        if self._schemas is None or value[:1] != CONFLUENT or len(value) < 5:
            return None
        schema = self._schemas.schema(int.from_bytes(value[1:5], "big"))
        if schema is None or schema.parsed is None:
            return None
        for record_type in self._by_class.values():
            if schema.name == f"penstock.{record_type.cls.__name__}":
                learned = (record_type, without_logical_types(schema.parsed))
                self._by_header[bytes(value[:5])] = learned
                return learned
        return None
