"""`/fn/register` and `/fn/remove`: what apps are told, and what then is in the table."""

from __future__ import annotations

from uuid import UUID

from penstock.messages.ids import app_uuid
from penstock.settings import ServerSettings
from tests.unit.functions.bodies import URL, body, function
from tests.unit.ingest.doubles import MemoryTopics, client, served


async def test_an_app_is_registered_once() -> None:
    """The second identical sync changes nothing and says so; the app keeps its id."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        first = await http.post("/fn/register?deployId=x", content=body(function()))
        written = len(topics.sent)
        second = await http.post("/fn/register", content=body(function()))
    assert first.status_code == second.status_code == 200
    assert first.json().keys() == {"ok", "modified", "app_id", "sync_id"}
    assert (first.json()["ok"], first.json()["modified"], second.json()["modified"]) == (True, True, False)
    assert UUID(first.json()["app_id"]) == UUID(second.json()["app_id"]) == app_uuid("shop")
    assert UUID(first.json()["sync_id"]) != UUID(second.json()["sync_id"])
    assert len(topics.sent) == written == 2


async def test_a_registered_function_is_triggered_when_the_answer_is_there() -> None:
    """Cause before effect: the table holds it before the SDK hears of success."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        await http.post("/fn/register", content=body(function()))
    assert [registered.config.slug for registered, _ in topics.table.triggered_by("shop/a")] == ["shop-import"]


async def test_a_broken_registration_is_400_with_the_reason() -> None:
    """Expressions are compiled for real; nothing is written."""
    topics = MemoryTopics()
    broken = function(triggers=[{"event": "shop/a", "expression": "event.data. =="}])
    async with client(served(topics)) as http:
        answer = await http.post("/fn/register", content=body(broken))
    assert answer.status_code == 400
    assert "function 'shop-import': triggers: shop/a: expression" in answer.json()["error"]
    assert topics.sent == []


async def test_a_cancel_expression_that_does_not_compile_is_400() -> None:
    """The answer names the function, the key, and what the compiler says; nothing is written."""
    topics = MemoryTopics()
    broken = function(cancel=[{"event": "shop/gone", "if": "event.data.id == async.data.id &&"}])
    unknown = function(cancel=[{"event": "shop/gone", "if": "order.id == async.data.id"}])
    async with client(served(topics)) as http:
        answers = [await http.post("/fn/register", content=body(each)) for each in (broken, unknown)]
    assert [answer.status_code for answer in answers] == [400, 400]
    syntax, undeclared = (answer.json()["error"] for answer in answers)
    assert "function 'shop-import': cancel.if: 'event.data.id == async.data.id &&' does not compile" in syntax
    assert "Syntax error" in syntax
    assert "undeclared reference to 'order'" in undeclared
    assert topics.sent == []


async def test_kafka_away_is_503() -> None:
    """The SDK tries again later."""
    async with client(served(MemoryTopics(broken=True))) as http:
        answer = await http.post("/fn/register", content=body(function()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_the_other_kind_of_server_is_refused() -> None:
    """An app in dev mode must not register with a cloud server by mistake, nor the reverse."""
    async with client(served(MemoryTopics())) as http:
        wrong = await http.post(
            "/fn/register", content=body(function()), headers={"x-inngest-expected-server-kind": "cloud"}
        )
        right = await http.post(
            "/fn/register", content=body(function()), headers={"x-inngest-expected-server-kind": "dev"}
        )
    assert wrong.status_code == 400
    assert "INNGEST_DEV=1" in wrong.json()["error"]
    assert wrong.headers["x-inngest-server-kind"] == "dev"
    assert right.status_code == 200


async def test_a_signing_key_is_asked_for_where_there_is_one() -> None:
    """Without it nobody registers or removes an app."""
    server = ServerSettings(mode="cloud", signing_key="signkey-test-abcd")
    async with client(served(MemoryTopics(), server)) as http:
        refused = await http.post("/fn/register", content=body(function()))
        kept = await http.delete("/fn/remove", params={"url": URL})
        key = {"authorization": "Bearer signkey-test-abcd"}
        welcome = await http.post("/fn/register", content=body(function()), headers=key)
    assert (refused.status_code, kept.status_code, welcome.status_code) == (401, 401, 200)
    assert "INNGEST_SIGNING_KEY" in refused.json()["error"]


async def test_an_app_is_removed_by_its_url() -> None:
    """Its functions are no longer triggered; a second removal finds nothing."""
    topics = MemoryTopics()
    async with client(served(topics)) as http:
        await http.post("/fn/register", content=body(function()))
        gone = await http.delete("/fn/remove", params={"url": URL})
        again = await http.delete("/fn/remove", params={"url": URL})
        unnamed = await http.delete("/fn/remove")
    assert (gone.status_code, again.status_code, unnamed.status_code) == (200, 404, 400)
    assert topics.table.triggered_by("shop/a") == []


async def test_a_body_too_large_is_413() -> None:
    """The same bound as for events."""
    server = ServerSettings(mode="dev", max_body_bytes=1024)
    async with client(served(MemoryTopics(), server)) as http:
        answer = await http.post("/fn/register", content=body(function(), custom="x" * 1024))
    assert answer.status_code == 413
