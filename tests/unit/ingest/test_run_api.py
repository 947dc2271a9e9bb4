"""Questions about live runs, and checkpoints: passed on to the owner, answered as the owner answers."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from penstock.errors import PenstockError
from penstock.ingest import forwarding
from penstock.ingest.answers import on_penstock_error
from penstock.ingest.bodies import BodyReader
from penstock.ingest.forwarding import Forwarding
from penstock.ingest.run_api import RunApi
from tests.unit.ingest.doubles import Answering, ListedOwners

RUN = "01M3250V000000000000000001"


async def ask(
    owners: ListedOwners, owner: Answering, method: str, path: str, content: bytes | None = None
) -> httpx.Response:
    """One request to the API, whose owners answer as given."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(owner)) as outgoing:
        api = RunApi(Forwarding(owners, outgoing), BodyReader(4096), 4)
        app = Starlette(routes=api.routes(), exception_handlers={PenstockError: on_penstock_error})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
            return await http.request(method, path, content=content)


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


async def test_no_owner_is_503_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a time to ask again."""
    monkeypatch.setattr(forwarding, "FIND_OWNER_SECONDS", 0.05)
    monkeypatch.setattr(forwarding, "PAUSE_SECONDS", 0.0)
    answer = await ask(ListedOwners([None]), lambda _: httpx.Response(500), "GET", f"/v0/runs/{RUN}/batch")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_what_is_no_run_id_is_400() -> None:
    """Nobody is asked for it; SDKs find the status in the body too."""
    owners = ListedOwners(["a:1"])
    answer = await ask(owners, lambda _: httpx.Response(200), "GET", "/v0/runs/nonsense/actions")
    assert answer.status_code == answer.json()["status"] == 400
    assert owners.asked == []


CHECKPOINT = b'{"run_id": "%s", "qi_id": "discover/start", "request_id": "r", "steps": []}' % RUN.encode()


@pytest.mark.parametrize("status", [200, 400, 409, 410])
async def test_a_checkpoint_is_passed_on_as_it_came(status: int) -> None:
    """The owner's word is final: 409 makes the SDK give its call up."""
    seen: list[bytes] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append(b"%s %s %s" % (request.method.encode(), request.url.raw_path, request.content))
        return httpx.Response(status, json={"said": status})

    answer = await ask(ListedOwners(["a:1"]), owner, "POST", f"/v1/checkpoint/{RUN}/async", CHECKPOINT)
    assert (answer.status_code, answer.json()) == (status, {"said": status})
    assert seen == [b"POST /runs/%s/checkpoint %s" % (RUN.encode(), CHECKPOINT)]


async def test_a_checkpoint_need_not_name_its_request() -> None:
    """The Go SDK does not; the owner knows whether a call for the job is under way."""
    content = CHECKPOINT.replace(b'"request_id": "r", ', b"")
    owner = ListedOwners(["a:1"])
    answer = await ask(owner, lambda _: httpx.Response(200), "POST", f"/v1/checkpoint/{RUN}/async", content)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "JSON object"),
        (b"[]", 400, "JSON object"),
        (b"{", 400, "not valid JSON"),
        (b'{"steps": ' + b"[" * 300 + b"]" * 300 + b"}", 400, "nests deeper"),
        (CHECKPOINT.replace(b"01M325", b"01M326"), 400, "another run"),
        (CHECKPOINT.replace(b'"r"', b"7"), 400, "request_id"),
        (CHECKPOINT.replace(b"qi_id", b"qi"), 400, "qi_id"),
        (CHECKPOINT.replace(b"[]", b"{}"), 400, "steps"),
        (CHECKPOINT.replace(b"[]", b"[" + b",".join([b"0"] * 1001) + b"]"), 400, "at most 1000"),
        (b" " * 4097, 413, "larger than 4096 bytes"),
    ],
)
async def test_a_checkpoint_that_is_none_reaches_nobody(content: bytes, status: int, reason: str) -> None:
    """What can be refused without the owner is; the words say what was expected."""
    owners = ListedOwners(["a:1"])
    answer = await ask(owners, lambda _: httpx.Response(200), "POST", f"/v1/checkpoint/{RUN}/async", content)
    assert answer.status_code == answer.json()["status"] == status
    assert reason in answer.json()["error"]
    assert owners.asked == []


@pytest.mark.parametrize("path", ["", f"/{RUN}/steps", f"/{RUN}/output"])
async def test_other_checkpoints_fail_cleanly(path: str) -> None:
    """A 404 that says what is kept: SDKs go on without."""
    answer = await ask(ListedOwners([None]), lambda _: httpx.Response(200), "POST", f"/v1/checkpoint{path}", b"{}")
    assert answer.status_code == 404
    assert answer.json().keys() == {"error", "status"}
    assert "POST /v1/checkpoint/<run id>/async" in answer.json()["error"]
