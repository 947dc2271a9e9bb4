"""What an app has registered, for tools that ask."""

from __future__ import annotations

from penstock.messages.ids import FunctionKey, function_uuid
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import MemoryTopics, client, served


async def test_functions_of_an_app() -> None:
    """A bare array with each function's configuration as registered."""
    async with client(served(MemoryTopics())) as http:
        await http.post("/fn/register", content=body(function("shop-b"), function("shop-a")))
        answer = await http.get("/v1/apps/shop/functions")
    assert answer.status_code == 200
    assert [found["id"] for found in answer.json()] == ["shop-a", "shop-b"]
    found = answer.json()[0]
    assert found["internal_id"] == str(function_uuid(FunctionKey("shop/shop-a")))
    assert found["name"] == "Import"
    assert found["config"]["triggers"] == [{"event": "shop/a"}]


async def test_archived_functions_are_gone() -> None:
    """A sync replaces what there was; the app stays, empty."""
    async with client(served(MemoryTopics())) as http:
        await http.post("/fn/register", content=body(function()))
        await http.post("/fn/register", content=body(functions=[]))
        answer = await http.get("/v1/apps/shop/functions")
    assert (answer.status_code, answer.json()) == (200, [])


async def test_an_unknown_app_is_404() -> None:
    """With those that are known."""
    async with client(served(MemoryTopics())) as http:
        nothing = await http.get("/v1/apps/shop/functions")
        await http.post("/fn/register", content=body(function()))
        other = await http.get("/v1/apps/shoop/functions")
    assert (nothing.status_code, other.status_code) == (404, 404)
    assert "no app is registered yet" in nothing.json()["error"]
    assert "registered are shop" in other.json()["error"]
