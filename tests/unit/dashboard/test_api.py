"""The pages' way to the HTTP API."""

from __future__ import annotations

import json

import httpx
import pytest

from penstock.dashboard.api import Answer, Api
from penstock.errors import InvalidInput, Unavailable


async def test_what_is_asked_arrives_as_json() -> None:
    """An event with the key of the settings."""
    seen: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, request.content))
        return httpx.Response(200, json={"ids": ["E"], "status": 200})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://penstock") as client:
        said = await Api(client, "k").send_event({"name": "a"})
    assert said.good
    assert said.body["ids"] == ["E"]
    assert seen == [("POST", "/e/k", b'{"name":"a"}')]


async def test_an_api_that_does_not_answer_is_unavailable() -> None:
    """The page says so, and can be asked again."""

    def never(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(never), base_url="http://penstock") as client:
        with pytest.raises(Unavailable, match="does not answer"):
            await Api(client, "k").ask("GET", "/x")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "no such run"}, "no such run"),
        ({"message": "m"}, "m"),
        (None, "the API answered 404"),
        ([], "the API answered 404"),
    ],
)
def test_a_refusal_is_told_in_the_apis_own_words(body: object, error: str) -> None:
    """Where it has any."""
    assert Answer(404, body).error == error
    assert not Answer(404, body).good


@pytest.mark.parametrize(("path", "content"), [("/" + "x" * 70_000, None), ("/x", json.loads("[" * 300 + "]" * 300))])
async def test_what_cannot_be_asked_is_told_to_who_asked(path: str, content: object) -> None:
    """An address that is too long, JSON nested deeper than can be written: their fault, not ours."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport, base_url="http://penstock") as client:
        with pytest.raises(InvalidInput):
            await Api(client, "k").ask("POST", path, content)
