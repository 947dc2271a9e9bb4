"""Schemas of other writers, as a schema registry knows them, and which of them are safe to read with.

A schema is written by a stranger, like the bytes that it describes. Two kinds would let a short record kill a
service, so they are refused: recursive ones (a few kilobytes nest deep enough to overflow the C stack of the reader)
and those in which something takes no bytes at all (a count of nine bytes would make 2^62 of it). Decimals are
bounded, because making one of a megabyte takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

import fastavro
from fastavro.read import LOGICAL_READERS

from ..errors import UndecodableRecord

Parsed = str | list[Any] | dict[str, Any]

MAX_DECIMAL_BYTES = 1024
_SIZES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """How the bytes after a Confluent header are to be read; `parsed` is None unless they are Avro."""

    kind: Literal["AVRO", "JSON"]
    name: str
    parsed: Parsed | None = None


class WriterSchemas(Protocol):
    """Port to the schema registry."""

    def schema(self, schema_id: int) -> WriterSchema | None:
        """The schema with this id, or None when the registry has none.

        Raises `Unavailable` when the registry does not answer (ask again later, the record is not broken), and
        `UndecodableRecord` when the schema is there but cannot be used.
        """


def avro_schema(schema: Parsed, named: dict[str, Any] | None = None) -> WriterSchema:
    """Parse an Avro schema and make sure that no record can do harm with it.

    `named` holds the types it may refer to, by full name, and takes in those that it defines.
    """
    known = {} if named is None else named
    try:
        parsed: Parsed = fastavro.parse_schema(schema, named_schemas=known)
        _SmallestSizes(known).of(parsed)
    except UndecodableRecord:
        raise
    except Exception as error:  # fastavro raises whatever a broken schema makes it stumble over
        raise UndecodableRecord(f"the registered schema is not valid Avro: {error!r}") from error
    name = parsed.get("name", "") if isinstance(parsed, dict) else ""
    return WriterSchema("AVRO", str(name), parsed)


def without_logical_types(schema: Parsed) -> Parsed:
    """The same schema, whose values are read as what lies on the wire."""
    if isinstance(schema, dict):
        return {key: without_logical_types(inner) for key, inner in schema.items() if key != "logicalType"}
    return [without_logical_types(inner) for inner in schema] if isinstance(schema, list) else schema


def _bounded(read: Callable[..., Decimal]) -> Callable[..., Decimal]:
    """A reader of decimals that refuses what would take too long."""

    def read_decimal(data: bytes, *schemas: Any) -> Decimal:
        if len(data) > MAX_DECIMAL_BYTES:
            raise ValueError(f"a decimal of {len(data)} bytes: at most {MAX_DECIMAL_BYTES} are read")
        return read(data, *schemas)

    return read_decimal


for _kind in ("bytes-decimal", "fixed-decimal"):
    LOGICAL_READERS[_kind] = _bounded(LOGICAL_READERS[_kind])


class _SmallestSizes:
    """The fewest bytes a value of each type can take; refuses what the module docstring names."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, int] = dict(_SIZES)
        self._open: set[str] = set()

    def of(self, schema: Parsed) -> int:
        if isinstance(schema, list):
            for branch in schema:
                self.of(branch)
            return 1
        if isinstance(schema, str):
            return self._known[schema] if schema in self._known else self.of(self._named[schema])
        match schema["type"]:
            case "record" | "error":
                return self._record(schema)
            case "array":
                return self._inner(schema["items"], "the items of an array")
            case "map":
                self.of(schema["values"])
                return 1
            case "enum":
                return 1
            case "fixed":
                return int(schema["size"])
            case other:
                return self.of(other)

    def _record(self, schema: dict[str, Any]) -> int:
        name = schema["name"]
        if name in self._open:
            raise UndecodableRecord(
                f"the schema of {name} contains itself, which cannot be read safely: send such data as JSON"
            )
        self._open.add(name)
        size = sum(self._inner(field["type"], f"field {field['name']} of {name}") for field in schema["fields"])
        self._open.discard(name)
        self._known[name] = size
        return size

    def _inner(self, schema: Parsed, what: str) -> int:
        size = self.of(schema)
        if size == 0:
            raise UndecodableRecord(
                f"the type of {what} takes no bytes, which cannot be read safely: make it a union with null"
            )
        return max(size, 1)
