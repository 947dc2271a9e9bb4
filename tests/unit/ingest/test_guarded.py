"""Routes behind the signing key."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from penstock.ingest.guarded import Guarded
from penstock.keys import SigningKeys

KEY = "signkey-test-" + "ab" * 32


async def answer(_request: Request) -> Response:
    return PlainTextResponse("secret")


def client(*keys: str, open: bool = False) -> httpx.AsyncClient:
    app = Starlette(routes=[Guarded(Route("/things/{name}", answer, methods=["GET"]), SigningKeys(keys, open))])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer other"}, {"authorization": KEY}])
async def test_nobody_passes_without_the_key(headers: dict[str, str]) -> None:
    """401 with what to send, and nothing of the route's answer."""
    async with client(KEY) as http:
        refused = await http.get("/things/a", headers=headers)
    assert refused.status_code == 401
    assert "Authorization: Bearer" in refused.json()["error"]


async def test_the_key_opens() -> None:
    """The guarded route then answers as if there were no guard."""
    async with client(KEY) as http:
        passed = await http.get("/things/a", headers={"authorization": f"Bearer {KEY}"})
        unknown = await http.get("/others", headers={"authorization": f"Bearer {KEY}"})
    assert (passed.status_code, passed.text) == (200, "secret")
    assert unknown.status_code == 404


async def test_without_a_key_of_ours_nobody_passes() -> None:
    """A cloud server that was given no key shows nothing; only development is open."""
    async with client() as http:
        assert (await http.get("/things/a")).status_code == 401
    async with client(open=True) as http:
        assert (await http.get("/things/a")).text == "secret"
