"""Errors, as this server words them."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.routing import Route

from penstock.errors import Fenced, InvalidInput, LimitExceeded, Overloaded, PenstockError, Unavailable
from penstock.ingest.answers import status_of
from penstock.ingest.app import Parts, ingest_app
from penstock.ingest.registrar import Registrar
from penstock.settings import ServerSettings
from tests.unit.ingest.doubles import KAFKA, NOW, ListedOwners, MemoryTopics, client, open_publisher, served


@pytest.mark.parametrize(
    ("error", "status"),
    [(Overloaded(), 429), (Unavailable(), 503), (LimitExceeded(), 413), (InvalidInput(), 400), (Fenced(), 500)],
)
def test_every_kind_of_error_has_its_status(error: PenstockError, status: int) -> None:
    """What may pass is 429 or 503, what the sender must change is 4xx."""
    assert status_of(error) == status


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/fn/register", 405)])
async def test_unknown_routes_and_methods_are_json_with_a_hint(method: str, path: str, status: int) -> None:
    """Every answer says what kind of server this is, and errors what it offers."""
    async with client(served(MemoryTopics())) as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert "POST /fn/register" in answer.json()["error"]
    assert answer.headers["x-inngest-server-kind"] == "dev"


async def test_a_route_of_another_room_that_fails_is_500_json(caplog: pytest.LogCaptureFixture) -> None:
    """Routes served along share the errors, and a bug shows in the log only."""

    async def fails(_request: Request) -> None:
        raise ZeroDivisionError("secret")

    async def refuses(_request: Request) -> None:
        raise InvalidInput("limit must be a number")

    publisher = open_publisher(MemoryTopics())
    async with client(served(MemoryTopics())) as outgoing:
        parts = Parts(publisher, Registrar(publisher, lambda: NOW), ListedOwners(), outgoing)
        more = [Route("/fails", fails), Route("/refuses", refuses)]
        async with client(ingest_app(ServerSettings(mode="dev"), KAFKA, parts, more)) as http:
            failed, refused = await http.get("/fails"), await http.get("/refuses")
    assert failed.status_code == 500
    assert "secret" not in failed.text
    assert "ZeroDivisionError" in caplog.text
    assert (refused.status_code, refused.json()["error"]) == (400, "limit must be a number")
