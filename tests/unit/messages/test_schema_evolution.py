"""Schemas change only so that old readers read new records and new readers old ones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.messages.codec import SINGLE_OBJECT, Codec, read_schema, schema_file, schema_fingerprint, schema_folder
from penstock.messages.records import RECORDS, CancelRun, Record

from .generated import values_of

RELEASED = sorted((schema_folder() / "released").glob("*/*.avsc"))
BY_FILE = {schema_file(cls): cls for cls in RECORDS}


def written_and_read(writer: dict[str, Any], reader: dict[str, Any], row: dict[str, Any]) -> Any:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer), row)
    out.seek(0)
    return fastavro.schemaless_reader(out, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


def compatible(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises unless records of either schema can be read with the other."""

    @given(st.data())
    def both_ways(data: st.DataObject) -> None:
        for writer, reader in ((old, new), (new, old)):
            row = {field["name"]: data.draw(values_of(field["type"])) for field in writer["fields"]}
            written_and_read(writer, reader, row)

    both_ways()


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_schema_is_compatible_with_its_released_predecessors(path: Path) -> None:
    """A release that breaks this could not be rolled out, or rolled back."""
    compatible(json.loads(path.read_text("utf-8")), read_schema(BY_FILE[path.name]))


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_codec_knows_every_released_schema(path: Path) -> None:
    """Records of earlier releases lie on the topics: their fingerprints are known."""
    assert Codec().knows(SINGLE_OBJECT + schema_fingerprint(json.loads(path.read_text("utf-8"))))


def changed(cls: type[Record], **field: Any) -> dict[str, Any]:
    schema = read_schema(cls)
    schema["fields"].append(field)
    return schema


def test_a_field_with_a_default_may_come_and_go() -> None:
    """The change that every release may make."""
    compatible(read_schema(CancelRun), changed(CancelRun, name="by", type="string", default=""))


@pytest.mark.parametrize(
    "field",
    [{"name": "by", "type": "string"}, {"name": "by", "type": {"type": "array", "items": "string"}}],
)
def test_the_check_notices_a_field_without_a_default(field: dict[str, Any]) -> None:
    """New readers could not read old records."""
    with pytest.raises(Exception, match="No default value"):
        compatible(read_schema(CancelRun), changed(CancelRun, **field))


def test_the_check_notices_a_changed_type() -> None:
    """A number is no text."""
    schema = read_schema(CancelRun)
    schema["fields"][0]["type"] = "long"
    with pytest.raises(fastavro.read.SchemaResolutionError):
        compatible(read_schema(CancelRun), schema)
