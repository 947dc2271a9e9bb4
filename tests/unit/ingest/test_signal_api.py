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


async def test_a_signal_reaches_its_owner() -> None:
    """Name and data arrive as sent; the answer names the run."""
    seen: list[object] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, orjson.loads(request.content)))
        return httpx.Response(200, json={"run_id": RUN})

    answer = await send(owner, b'{"signal": "task/1", "data": {"ok": true}}')
    assert answer.status_code == 200
    assert answer.json()["data"] == {"run_id": RUN}
    assert answer.json()["metadata"]["fetched_at"].endswith("Z")
    assert seen == [("POST", "/signals", {"signal": "task/1", "data": {"ok": True}})]
    assert 0 <= signal_partition("task/1", 4) < 4


async def test_data_may_be_left_out() -> None:
    """Then it is null."""
    seen: list[bytes] = []

    def owner(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, json={"run_id": RUN})

    assert (await send(owner, b'{"signal": "s"}')).status_code == 200
    assert seen == [b'{"signal":"s","data":null}']


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
