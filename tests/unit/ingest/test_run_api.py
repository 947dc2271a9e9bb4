"""Questions about live runs: passed on to the owner, answered as the owner answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette

from penstock.ingest import run_api
from penstock.ingest.auth import SigningKeys
from penstock.ingest.run_api import RunApi

RUN = "01M3250V000000000000000001"


@dataclass
class ListedOwners:
    """Gives these addresses, the next one whenever the last was wrong."""

    addresses: list[str | None]
    asked: list[tuple[int, str | None]] = field(default_factory=list)

    async def address(self, partition: int, known_wrong: str | None = None) -> str | None:
        self.asked.append((partition, known_wrong))
        if len(self.asked) > 1 and len(self.addresses) > 1:
            self.addresses.pop(0)
        return self.addresses[0]


Answering = Callable[[httpx.Request], httpx.Response]


async def ask(owners: ListedOwners, owner: Answering, method: str, path: str, key: str = "") -> httpx.Response:
    """One request to the API, whose owners answer as given."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(owner)) as outgoing:
        api = RunApi(owners, SigningKeys((key,) if key else ()), outgoing, 4)
        transport = httpx.ASGITransport(Starlette(routes=api.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://penstock") as http:
            return await http.request(method, path)


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("GET", f"/v0/runs/{RUN}/actions", f"GET http://a:1/runs/{RUN}/actions"),
        ("GET", f"/v0/runs/{RUN}/batch", f"GET http://a:1/runs/{RUN}/batch"),
        ("DELETE", f"/v1/runs/{RUN}", f"POST http://a:1/runs/{RUN}/cancel"),
    ],
)
async def test_the_owners_answer_is_passed_on(method: str, path: str, asked: str) -> None:
    """Status and body arrive unchanged, whatever they are."""
    seen: list[str] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url}")
        return httpx.Response(410, json={"error": "the run has ended", "data": None, "status": 410})

    owners = ListedOwners(["a:1"])
    answer = await ask(owners, owner, method, path)
    assert answer.status_code == 410
    assert answer.json() == {"error": "the run has ended", "data": None, "status": 410}
    assert seen == [asked]
    assert owners.asked == [(1, None)]


@pytest.mark.parametrize(("status", "expected"), [(200, 204), (404, 404), (409, 409)])
async def test_the_old_cancellation_succeeds_without_a_body(status: int, expected: int) -> None:
    """Errors stay as they are."""
    answer = await ask(ListedOwners(["a:1"]), lambda _: httpx.Response(status, json={}), "DELETE", f"/v0/runs/{RUN}")
    assert answer.status_code == expected
    assert answer.content == (b"" if expected == 204 else b"{}")


@pytest.mark.parametrize("wrong", [421, None])
async def test_a_wrong_owner_leads_to_another_question(wrong: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that moved away or died is reported to the directory, and the next one asked."""
    monkeypatch.setattr(run_api, "PAUSE_SECONDS", 0.0)

    def owner(request: httpx.Request) -> httpx.Response:
        if request.url.host == "b":
            return httpx.Response(200, json={})
        if wrong is None:
            raise httpx.ConnectError("gone")
        return httpx.Response(wrong)

    owners = ListedOwners(["a:1", "b:2"])
    answer = await ask(owners, owner, "GET", f"/v0/runs/{RUN}/batch")
    assert answer.status_code == 200
    assert owners.asked == [(1, None), (1, "a:1")]


async def test_no_owner_is_503_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a time to ask again."""
    monkeypatch.setattr(run_api, "FIND_OWNER_SECONDS", 0.05)
    monkeypatch.setattr(run_api, "PAUSE_SECONDS", 0.0)
    answer = await ask(ListedOwners([None]), lambda _: httpx.Response(500), "GET", f"/v0/runs/{RUN}/batch")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_what_is_no_run_id_is_400() -> None:
    """Nobody is asked for it; SDKs find the status in the body too."""
    owners = ListedOwners(["a:1"])
    answer = await ask(owners, lambda _: httpx.Response(200), "GET", "/v0/runs/nonsense/actions")
    assert answer.status_code == answer.json()["status"] == 400
    assert owners.asked == []


async def test_the_signing_key_is_asked_for() -> None:
    """Runs hold their users' data."""
    answer = await ask(ListedOwners(["a:1"]), lambda _: httpx.Response(200), "GET", f"/v0/runs/{RUN}/batch", key="abcd")
    assert answer.status_code == 401
