"""The description of the HTTP API: all of it, nothing else, and in the form of OpenAPI 3.1."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from penstock.__main__ import other_routes
from penstock.history import api
from penstock.ingest import openapi as ingest_openapi
from penstock.ingest.event_api import PREFIX
from penstock.ingest.guarded import Guarded
from penstock.openapi import Description, Operation, Part, answered, object_of, ref
from penstock.replay import openapi as replay_openapi
from penstock.replay.api import ReplayDesk
from penstock.settings import HistorySettings, ReplaySettings

from .ingest.doubles import KAFKA, MemoryTopics, client, served
from .ingest.test_repeat_api import MemoryPast
from .json_schema import KEYWORDS, TYPES

#: Routes that are no API of ours: what SDKs ask and tell the server by themselves.
OF_SDKS = {
    ("GET", "/dev"),
    ("POST", "/dev/traces"),
    ("POST", "/v0/telemetry"),
    ("POST", "/v1/traces/userland"),
    ("POST", "/v1/runs/{run_id}/metadata"),
    ("GET", "/v0/runs/{run_id}/actions"),
    ("GET", "/v0/runs/{run_id}/batch"),
    ("POST", "/v1/checkpoint"),
    ("POST", "/v1/checkpoint/{run_id}/async"),
    ("POST", "/v1/checkpoint/{rest}"),
    ("GET", "/v1/checkpoint/{rest}"),
}
#: Events come before the router.
EVENTS = ("POST", f"{PREFIX}{{key}}")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
Json = dict[str, Any]


async def no_sync(_url: str) -> str | None:
    return None


def other_rooms(data_dir: Path) -> list[BaseRoute]:
    """As the process of ingest serves them; nothing is opened before the first question."""
    return other_routes(HistorySettings(data_dir=data_dir), ReplayDesk(ReplaySettings(), KAFKA))


def served_routes(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Method and path of everything that ingest, history and replay answer."""
    app = served(MemoryTopics(), past=MemoryPast(), sync=no_sync, more_routes=other_rooms(data_dir))
    for one in app.others.routes:
        route = one.route if isinstance(one, Guarded) else one
        assert isinstance(route, Route), f"what does {route} serve?"
        for method in (route.methods or set()) - {"HEAD"}:
            yield method, re.sub(r":\w+}", "}", route.path)


@pytest.fixture
async def document(tmp_path: Path) -> Json:
    async with client(served(MemoryTopics(), more_routes=other_rooms(tmp_path))) as http:
        response = await http.get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    found: Json = response.json()
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


async def test_every_route_is_described_and_every_description_has_a_route(document: Json, tmp_path: Path) -> None:
    """Whoever adds a route describes it in its room's `openapi.py`, or lists it above as one of the SDKs' own."""
    described = {(method.upper(), path) for method, path, _ in operations(document)}
    routes = {*served_routes(tmp_path), EVENTS}
    assert routes >= OF_SDKS
    assert described - routes == set(), "described, but not served"
    assert routes - OF_SDKS - described == set(), "served, but not described"
    assert described & OF_SDKS == set()


async def test_events_are_described_where_they_are_taken() -> None:
    """They have no route that could be walked: the path is asked itself."""
    async with client(served(MemoryTopics())) as http:
        taken = await http.post(EVENTS[1].format(key="test"), json={"name": "shop/a"})
        other_method = await http.get(EVENTS[1].format(key="test"))
    assert (taken.status_code, other_method.status_code) == (200, 405)


async def test_the_document_is_openapi(document: Json) -> None:
    """Tools that make clients from it refuse a document that is not."""
    require_openapi(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("openapi",), "3.0.0"),
        (("info", "version"), None),
        (("paths", "/v1/runs/{other}"), {"get": {}}),
        (("paths", "/health", "get", "operationId"), "v1_runs"),
        (("paths", "/health", "get", "responses"), {}),
        (("paths", "/v1/runs/{run_id}", "delete", "parameters"), []),
        (("paths", "/v1/signals", "post", "requestBody"), {"content": {}}),
        (("components", "schemas", "Run"), {"type": "text"}),
        (("components", "schemas", "Run"), {"$ref": "#/components/schemas/Nothing"}),
    ],
)
async def test_a_document_that_is_none_is_found(document: Json, path: tuple[str, ...], value: object) -> None:
    """The check above can fail."""
    broken = copy.deepcopy(document)
    inner = broken
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises((AssertionError, KeyError)):
        require_openapi(broken)


def require_openapi(document: Json) -> None:
    """The essentials of OpenAPI 3.1: its fields, its references, its names."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert {"title", "version"} <= {name for name, value in document["info"].items() if isinstance(value, str)}
    assert document.keys() <= {"openapi", "info", "paths", "components", "security"}
    assert document["components"].keys() <= {"schemas", "responses", "securitySchemes"}
    for reference in references(document):
        assert isinstance(resolved(document, reference), dict), reference
    templates = [re.sub(r"{\w+}", "{}", path) for path in document["paths"]]
    assert len(templates) == len(set(templates)), "two paths differ by the names of their parameters alone"
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for method, path, operation in operations(document):
        require_operation(document, method, path, operation)
    for response in document["components"]["responses"].values():
        require_response(response)
    for schema in document["components"]["schemas"].values():
        require_schema(schema)
    require_security(document, document["security"])


def require_operation(document: Json, method: str, path: str, operation: Json) -> None:
    assert path.startswith("/")
    assert method in METHODS
    known = {"summary", "operationId", "parameters", "requestBody", "responses", "security"}
    assert {"summary", "operationId", "responses"} <= operation.keys() <= known, (method, path)
    require_parameters(path, operation["parameters"])
    require_security(document, operation.get("security", []))
    if "requestBody" in operation:
        assert method not in ("get", "delete")
        assert operation["requestBody"].keys() <= {"required", "content"}
        require_content(operation["requestBody"]["content"])
    assert any(status[0] in "23" for status in operation["responses"]), (method, path)
    for status, response in operation["responses"].items():
        assert re.fullmatch(r"[1-5]\d\d", status)
        if "$ref" in response:
            assert response.keys() == {"$ref"}
        else:
            require_response(response)


def require_parameters(path: str, parameters: list[Json]) -> None:
    in_path = [one["name"] for one in parameters if one["in"] == "path" and one["required"] is True]
    assert in_path == re.findall(r"{(\w+)}", path), path
    places = [(one["name"].lower(), one["in"]) for one in parameters]
    assert len(places) == len(set(places)), path
    for one in parameters:
        assert one.keys() <= {"name", "in", "description", "schema", "required"}
        assert one["in"] in ("path", "query", "header", "cookie")
        require_schema(one["schema"])


def require_response(response: Json) -> None:
    assert response.keys() <= {"description", "content", "headers"}
    assert response["description"]
    for header in response.get("headers", {}).values():
        require_schema(header["schema"])
    if "content" in response:
        require_content(response["content"])


def require_content(content: Json) -> None:
    assert content
    for media_type, said in content.items():
        assert re.fullmatch(r"\w+/[\w.+-]+", media_type)
        require_schema(said.get("schema", {}))


def require_schema(schema: Json) -> None:
    assert isinstance(schema, dict)
    assert schema.keys() <= KEYWORDS, schema
    kinds = schema.get("type", [])
    assert {kinds} <= TYPES.keys() if isinstance(kinds, str) else set(kinds) <= TYPES.keys(), schema
    assert set(schema.get("required", ())) <= schema.get("properties", {}).keys(), schema
    inner = [*schema.get("properties", {}).values(), *schema.get("oneOf", ())]
    inner += [schema[one] for one in ("items", "additionalProperties") if isinstance(schema.get(one), dict)]
    for one in inner:
        require_schema(one)


def require_security(document: Json, wanted: list[Json]) -> None:
    for one in wanted:
        assert one.keys() <= document["components"]["securitySchemes"].keys()


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolved(document: Json, reference: str) -> Any:
    start, *names = reference.split("/")
    assert start == "#"
    found: Any = document
    for name in names:
        found = found[name]
    return found


async def test_no_shape_is_left_over(document: Json) -> None:
    """What nothing answers is not described either."""
    named = {reference.rpartition("/")[2] for reference in references(document)}
    assert document["components"]["schemas"].keys() - named == set()


async def test_rooms_do_not_overwrite_one_another(document: Json, tmp_path: Path) -> None:
    """Each operation and each shape comes from one room, or is the document's own."""
    parts = [Description([part]).document() for part in (ingest_openapi.PART, replay_openapi.PART)]
    own, alone = Description([]).document(), [*parts, await described_by_history(tmp_path)]
    for names in (operation_names, shape_names):
        counted = sum(len(names(one) - names(own)) for one in alone)
        assert counted == len(names(document) - names(own))


def operation_names(document: Json) -> set[str]:
    return {f"{method} {path}" for method, path, _ in operations(document)}


def shape_names(document: Json) -> set[str]:
    return set(document["components"]["schemas"])


async def described_by_history(data_dir: Path) -> Json:
    app = Starlette(routes=api.routes(HistorySettings(data_dir=data_dir)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
        found: Json = (await http.get("/openapi.json")).json()
    return found


async def test_it_says_where_the_signing_key_is_asked_for(document: Json) -> None:
    """Everywhere but where events come in and probes ask."""
    is_open = {(method, path) for method, path, operation in operations(document) if operation.get("security") == []}
    assert is_open == {("post", EVENTS[1]), ("get", "/"), ("get", "/health")}
    assert document["security"] == [{}, {"signingKey": []}]
    guarded = [one for method, path, one in operations(document) if (method, path) not in is_open]
    assert all("401" in one["responses"] for one in guarded)


async def test_history_alone_describes_itself(tmp_path: Path) -> None:
    """Whoever serves less describes less."""
    found = await described_by_history(tmp_path)
    require_openapi(found)
    assert "/v1/runs" in found["paths"]
    assert "/v1/signals" not in found["paths"]


def test_an_error_of_its_own_takes_the_place_of_the_usual_one() -> None:
    """An operation says more about a status than what it means everywhere."""
    own = answered("Nobody waits", ref("Thing"))
    one = Operation("POST", "/things/{id}", "Do", {200: answered("Done", ref("Thing")), 404: own}, (400, 404))
    paths: Any = Description([Part((one,), {"Thing": object_of()}, {"id": "Which"})]).document()["paths"]
    responses = paths["/things/{id}"]["post"]["responses"]
    assert responses.keys() == {"200", "400", "401", "404"}
    assert responses["404"] == own
    assert paths["/things/{id}"]["post"]["parameters"][0]["description"] == "Which"
