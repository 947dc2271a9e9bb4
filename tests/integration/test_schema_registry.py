"""Schemas looked up and registered over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest

from penstock.errors import InvalidSettings, Unavailable, UndecodableRecord
from penstock.kafka import schema_registry
from penstock.kafka.schema_client import SchemaRegistry
from penstock.messages.codec import read_schema
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import RECORDS, Event, OffsetApplied
from penstock.settings import KafkaSettings

from .registry_server import RegistryServer, running_registry

ORDER: dict[str, Any] = {"type": "record", "name": "shop.Order", "fields": [{"name": "n", "type": "int"}]}


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with running_registry() as running:
        yield running


@pytest.fixture
def registry(server: RegistryServer) -> Iterator[SchemaRegistry]:
    with SchemaRegistry(server.url) as client:
        yield client


def test_a_schema_is_asked_for_once(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Ids never change their meaning, so a known one costs no request."""
    schema_id = server.add("orders-value", ORDER)
    for _ in range(3):
        found = registry.schema(schema_id)
        assert found is not None
        assert (found.kind, found.name) == ("AVRO", "shop.Order")
    assert len(server.requests) == 1


def test_an_unknown_id_is_remembered_for_a_while(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Records with it come in numbers; each of them must not cost a request."""
    assert registry.schema(77) is None
    assert registry.schema(77) is None
    assert len(server.requests) == 1


def test_references_are_resolved(server: RegistryServer, registry: SchemaRegistry) -> None:
    """A schema whose types are registered elsewhere, two levels deep, is read whole."""
    server.add("line-value", ORDER)
    cart = {"type": "record", "name": "shop.Cart", "fields": [{"name": "order", "type": "shop.Order"}]}
    to_order = [{"name": "shop.Order", "subject": "line-value", "version": 1}]
    server.add("cart-value", cart, references=to_order)
    visit = {
        "type": "record",
        "name": "shop.Visit",
        "fields": [{"name": "cart", "type": "shop.Cart"}, {"name": "last", "type": "shop.Order"}],
    }
    to_cart = [{"name": "shop.Cart", "subject": "cart-value", "version": 1}]
    schema_id = server.add("visit-value", visit, references=to_cart + to_order)
    value = b"\0" + schema_id.to_bytes(4, "big") + b"\x02\x04"
    event = IncomingEvents(schema_registry.codec(None), registry).decode(Arrival("t", 0, 0, 1_700_000_000_000, value))
    assert event.data == '{"cart":{"order":{"n":1}},"last":{"n":2}}'


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"schema": "syntax = 'proto3';", "schemaType": "PROTOBUF"}, "PROTOBUF is not supported: send Avro or JSON"),
        ({"schema": "{nonsense"}, "the registered schema is not JSON"),
        ({"schema": "[" * 100_000}, "the registered schema is not JSON"),
        ({"schema": '{"type":"nonsense"}'}, "not valid Avro"),
        ({"schema": json.dumps(ORDER), "references": [{"subject": "gone", "version": 1}]}, "does not have"),
    ],
)
def test_unusable_schemas_have_a_reason(
    server: RegistryServer, registry: SchemaRegistry, entry: dict[str, Any], reason: str
) -> None:
    """A record with them is not decodable, now or later; the reason is remembered."""
    schema_id = server.add("x-value", entry.pop("schema"), **entry)
    for _ in range(2):
        with pytest.raises(UndecodableRecord, match=reason):
            registry.schema(schema_id)


def test_json_schemas_mean_json(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Confluent's JSON serializer registers a JSON Schema; the payload is plain JSON."""
    found = registry.schema(server.add("x-value", "{}", schemaType="JSON"))
    assert found is not None
    assert found.kind == "JSON"


def test_a_failing_registry_is_left_alone_for_a_moment(server: RegistryServer, registry: SchemaRegistry) -> None:
    """It costs one request, not one for each record; records wait, they are not refused."""
    server.broken = True
    schema_id = server.add("orders-value", ORDER)
    for _ in range(5):
        with pytest.raises(Unavailable):
            registry.schema(schema_id)
    assert len(server.requests) == 1


def test_a_registry_that_is_away_is_unavailable() -> None:
    """Nobody listens: bounded, and retryable."""
    with SchemaRegistry("http://127.0.0.1:9") as registry:
        with pytest.raises(Unavailable, match="does not answer"):
            registry.schema(1)
        with pytest.raises(Unavailable, match="does not answer"):
            registry.register("x", ORDER)


def test_our_schemas_are_registered_under_their_names(server: RegistryServer, registry: SchemaRegistry) -> None:
    """One subject a record; what is written carries the registry's ids and any Avro client can read it."""
    codec = schema_registry.codec(registry)
    assert server.subjects() == {f"penstock.{cls.__name__}" for cls in RECORDS}
    written = codec.encode(OffsetApplied(3))
    found = registry.schema(int.from_bytes(written[1:5], "big"))
    assert found is not None
    assert found.parsed is not None
    assert fastavro.schemaless_reader(io.BytesIO(written[5:]), found.parsed, None) == {"offset": 3, "topic_id": ""}
    assert schema_registry.codec(registry).encode(OffsetApplied(3)) == written


def test_records_of_another_release_are_understood(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Its schema has another id; the registry says what it was written with."""
    older = read_schema(Event)
    older["fields"] = [field for field in older["fields"] if field["name"] in ("name", "data")]
    schema_id = server.add("penstock.Event", older)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(older), {"name": "a", "data": "{}"})
    value = b"\0" + schema_id.to_bytes(4, "big") + out.getvalue()
    assert schema_registry.codec(registry).decode(value) == Event("a")


def test_a_refused_schema_stops_the_start(server: RegistryServer, registry: SchemaRegistry) -> None:
    """Writing records that the registry calls incompatible would break its other readers."""
    server.refused_subjects.add("penstock.Event")
    with pytest.raises(InvalidSettings, match=r"refuses penstock.Event .409.*compatibility setting"):
        schema_registry.codec(registry)


def test_the_setting_decides() -> None:
    """No URL, no registry; something that is no URL is refused."""
    assert schema_registry.connect(KafkaSettings(schema_registry_url=None)) is None
    with pytest.raises(InvalidSettings, match="PENSTOCK_SCHEMA_REGISTRY_URL must be an http"):
        schema_registry.connect(KafkaSettings(schema_registry_url="localhost:8081"))
