"""One request, one answer or an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from penstock.cli.exit_codes import NotFound, Refused
from penstock.cli.server import Server
from penstock.errors import PenstockError, Unavailable
from penstock.settings import ClientSettings


def server(answer: Callable[[httpx.Request], httpx.Response], **settings: str) -> Server:
    return Server(ClientSettings(url="http://penstock/", **settings), httpx.MockTransport(answer))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Refused, "PENSTOCK_SIGNING_KEY"),
        (400, Refused, "what the server says"),
        (409, Refused, "what the server says"),
        (404, NotFound, "what the server says"),
        (503, Unavailable, "what the server says"),
        (500, Unavailable, "what the server says"),
    ],
)
def test_every_refusal_has_its_kind(status: int, kind: type[PenstockError], words: str) -> None:
    """The server's own words are passed on."""
    with pytest.raises(kind, match=words):
        server(lambda _: httpx.Response(status, json={"error": "what the server says"})).get("/v1/x")


def test_nobody_there_says_how_to_start_one() -> None:
    """And how to name another."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unavailable, match=r"penstock dev.*PENSTOCK_URL"):
        server(refuse).get("/v1/x")


def test_an_answer_that_is_no_json_is_told_by_its_status() -> None:
    """A proxy's page is not shown."""
    with pytest.raises(Unavailable, match="GET /v1/x was answered with 502"):
        server(lambda _: httpx.Response(502, text="<html>")).get("/v1/x")


def test_lists_are_read_page_after_page() -> None:
    """Up to the limit, by the server's cursor; empty filters are left out, the key is shown."""
    asked: list[httpx.Request] = []

    def page(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        first = int(request.url.params.get("cursor") or 0)
        rows = [{"n": n} for n in range(first, first + int(request.url.params["limit"]))]
        return httpx.Response(200, json={"data": rows, "metadata": {"next_cursor": str(first + len(rows))}})

    found = list(server(page, signing_key="signkey").rows("/v1/runs", {"status": "", "app": "shop"}, 250))
    assert [row["n"] for row in found] == list(range(250))
    assert [request.url.params["limit"] for request in asked] == ["100", "100", "50"]
    assert "status" not in asked[0].url.params
    assert asked[0].headers["authorization"] == "Bearer signkey"


def test_the_clock_is_compared_by_the_date_header() -> None:
    """A server that is an hour ahead is seen."""
    ahead = server(lambda _: httpx.Response(200, headers={"date": "Wed, 01 Jan 2100 00:00:00 GMT"}))
    assert ahead.clock_difference() > 3600
    assert server(lambda _: httpx.Response(200)).clock_difference() == 0
