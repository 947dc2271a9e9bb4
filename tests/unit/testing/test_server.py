"""What SDKs ask of their server, answered in process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from penstock.errors import PenstockError
from penstock.messages.ids import FunctionKey, RunId, StepId
from penstock.messages.records import RunStarted, StepFinished
from penstock.runs.run import Run, fold
from penstock.testing.server import SDK_HEADER, Interception, ServerSide

T0 = 1_790_000_000_000
RUN = RunId("01J00000000000000000000000")
URL = "http://server.test/e/key"
SDK = {SDK_HEADER: "py:v1"}


def run() -> Run:
    started = RunStarted(RUN, FunctionKey("app/fn"), 1, ('{"name":"e"}',), ("e",), 5, T0, T0)
    return fold(Run(started), StepFinished(RUN, StepId("a"), 0, "StepRun", "a", '{"data":1}', T0, T0))


def side() -> ServerSide:
    return ServerSide(lambda run_id: run() if run_id == RUN else None, lambda: T0, "dev")


def ask(server: ServerSide, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    answer = server.answer(httpx.Request(method, f"http://server.test{path}", content=body))
    assert answer.headers["x-inngest-server-kind"] == "dev"
    return answer.status_code, answer.json()


def test_events_are_taken_with_ids_of_their_own() -> None:
    """All of a request or none of it, as the caller is told."""
    server = side()
    status, said = ask(server, "POST", "/e/key", b'[{"name":"a"},{"name":"b"}]')
    assert status == 200
    assert said["ids"] == [event.internal_id for event in server.sent]
    assert len({*said["ids"]}) == 2
    status, said = ask(server, "POST", "/e/key", b'[{"name":"a"},{}]')
    assert (status, len(server.sent)) == (400, 2)
    assert "name is missing" in said["error"]


def test_state_is_handed_out_while_the_run_lives() -> None:
    """For an SDK that was told to fetch a large state itself."""
    server = side()
    assert ask(server, "GET", f"/v0/runs/{RUN}/actions") == (200, {"a": {"data": 1}})
    assert ask(server, "GET", f"/v0/runs/{RUN}/batch") == (200, [{"name": "e"}])
    assert ask(server, "GET", "/v0/runs/01J0000000000000000000000X/batch")[0] == 410


def test_what_a_test_world_does_not_answer() -> None:
    """Unknown routes and bad registrations say so."""
    assert ask(side(), "GET", "/v1/events")[0] == 404
    assert ask(side(), "POST", "/fn/register", b"{}")[0] == 400


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the network: answers 418."""

    async def handle_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return httpx.Response(418, request=request)

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return httpx.Response(418, request=request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)


@pytest.fixture
def interception(network: None) -> Iterator[Interception]:
    made = Interception(lambda request: httpx.Response(299, request=request))
    made.open()
    yield made
    made.close()


def test_requests_of_sdks_alone_are_intercepted(interception: Interception) -> None:
    """Only what carries an SDK's header, and only while open."""
    with httpx.Client() as client:
        assert client.post(URL).status_code == 418
        assert client.post(URL, headers=SDK).status_code == 299
        interception.close()
        assert client.post(URL, headers=SDK).status_code == 418


async def test_clients_that_are_async(interception: Interception) -> None:
    """As for the others."""
    async with httpx.AsyncClient() as client:
        assert (await client.post(URL)).status_code == 418
        assert (await client.post(URL, headers=SDK)).status_code == 299


def test_one_world_at_a_time(interception: Interception) -> None:
    """Two could not tell whose an event is; the next may open when this one is closed."""
    second = Interception(lambda request: httpx.Response(200))
    with pytest.raises(PenstockError, match="another world"):
        second.open()
    interception.close()
    second.open()
    second.close()
