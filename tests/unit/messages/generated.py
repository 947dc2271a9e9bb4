"""Values of every record, made from the schema files."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from penstock.messages.codec import read_schema
from penstock.messages.records import Record

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "long": st.integers(-(1 << 63), (1 << 63) - 1),
    "int": st.integers(-(1 << 31), (1 << 31) - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=20),
    "null": st.none(),
}


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values that a schema allows, in the types that our dataclasses hold."""
    if isinstance(schema, list):
        return st.one_of([values_of(branch) for branch in schema])
    if isinstance(schema, str):
        return _BY_TYPE[schema]
    match schema["type"]:
        case "array":
            return st.lists(values_of(schema["items"]), max_size=4).map(tuple)
        case "map":
            return st.dictionaries(_TEXT, values_of(schema["values"]), max_size=4)
        case "enum":
            return st.sampled_from(schema["symbols"])
        case other:
            return values_of(other)


def records(cls: type[Record]) -> st.SearchStrategy[Record]:
    """Records of one class."""
    fields = {field["name"]: values_of(field["type"]) for field in read_schema(cls)["fields"]}
    assert set(fields) == {field.name for field in dataclasses.fields(cls)}
    return st.fixed_dictionaries(fields).map(lambda row: cls(**row))
