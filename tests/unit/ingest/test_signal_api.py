"""Signals: passed to their owner; answered as SDKs expect."""

from __future__ import annotations

import httpx
import orjson
import pytest

from penstock.messages.ids import signal_partition
from tests.unit.ingest.doubles import Answering, MemoryTopics, client, served

RUN = "01M3250V000000000000000001"


async def send(owner: Answering | None, content: bytes) -> httpx.Response:
    async with client(served(MemoryTopics(), owner=owner)) as http:
        return await http.post("/v1/signals", content=content)


def taking(request: httpx.Request, taken: bool = True) -> httpx.Response:
    """The signal's owner hands it over; the run's owner says whether it was taken."""
    if request.method == "GET":
        assert request.url.params["job_id"] == "signal/a b"
        return httpx.Response(200, json={"taken": taken})
    return httpx.Response(200, json={"run_id": RUN, "job_id": "signal/a b"})


async def test_a_signal_that_meets_the_end_of_its_wait_is_404() -> None:
    """200 would say that the run has it; it went on without."""
    answer = await send(lambda request: taking(request, taken=False), b'{"signal": "task/1"}')
    assert answer.status_code == 404
    assert f"run {RUN} waited for the signal" in answer.json()["error"]


async def test_a_run_whose_owner_does_not_answer_is_503() -> None:
    """Whether it has the signal is not known, and that is said."""

    def owner(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, text="not in time") if request.method == "GET" else taking(request)

    answer = await send(owner, b'{"signal": "task/1"}')
    assert answer.status_code == 503
    assert f"handed to run {RUN}" in answer.json()["error"]


async def test_a_signal_reaches_its_owner() -> None:
    """Name and data arrive as sent; the answer names the run."""
    seen: list[object] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, orjson.loads(request.content or b"null")))
        return taking(request)

    answer = await send(owner, b'{"signal": "task/1", "data": {"ok": true}}')
    assert answer.status_code == 200
    assert answer.json()["data"] == {"run_id": RUN}
    assert answer.json()["metadata"]["fetched_at"].endswith("Z")
    assert seen == [
        ("POST", "/signals", {"signal": "task/1", "data": {"ok": True}}),
        ("GET", f"/runs/{RUN}/signal", None),
    ]
    assert 0 <= signal_partition("task/1", 4) < 4


async def test_data_may_be_left_out() -> None:
    """Then it is null."""
    seen: list[bytes] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return taking(request)

    assert (await send(owner, b'{"signal": "s"}')).status_code == 200
    assert seen[0] == b'{"signal":"s","data":null}'


async def test_nobody_waits_is_404() -> None:
    """SDKs take it for a normal answer; people read what it means."""
    answer = await send(lambda _: httpx.Response(404, json={"error": "…"}), b'{"signal": "task/1"}')
    assert answer.status_code == answer.json()["status"] == 404
    assert "no run waits for the signal 'task/1'" in answer.json()["error"]


async def test_an_owner_in_trouble_is_503() -> None:
    """The sender may try again, and is told why."""
    answer = await send(lambda _: httpx.Response(503, text="could not be committed in time"), b'{"signal": "s"}')
    assert answer.status_code == 503
    assert "could not be committed" in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "JSON object"),
        (b"[1]", 400, "JSON object"),
        (b"{", 400, "not valid JSON"),
        (b"{}", 400, "signal: expected text"),
        (b'{"signal": ""}', 400, "signal: expected text"),
        (b'{"signal": 5}', 400, "signal: expected text"),
        (orjson.dumps({"signal": "x" * 1025}), 413, "at most 1024"),
        (orjson.dumps({"signal": "s", "data": "x" * 3 * 1024 * 1024}), 413, "larger than"),
        (b'{"signal": "s", "data": ' + b"[" * 300 + b"]" * 300 + b"}", 400, "nests deeper"),
    ],
)
async def test_what_is_no_signal_reaches_nobody(content: bytes, status: int, reason: str) -> None:
    """Refused with what to do."""
    asked: list[httpx.Request] = []

    def owner(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"run_id": RUN})

    answer = await send(owner, content)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert asked == []
