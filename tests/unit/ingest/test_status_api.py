"""Existence, health, and what is accepted without being needed."""

from __future__ import annotations

import pytest

from penstock.settings import ServerSettings
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import MemoryTopics, client, served


async def test_the_root_answers() -> None:
    """SDKs wait for it."""
    async with client(served(MemoryTopics())) as http:
        answer = await http.get("/")
    assert answer.status_code == 200
    assert answer.headers["x-inngest-server-kind"] == "dev"


async def test_dev_lists_functions() -> None:
    """Older SDKs look here for a dev server; people see what is registered."""
    async with client(served(MemoryTopics())) as http:
        await http.post("/fn/register", content=body(function()))
        answer = await http.get("/dev")
    assert answer.status_code == 200
    assert [f["slug"] for f in answer.json()["functions"]] == ["shop-import"]


async def test_a_cloud_server_is_no_dev_server() -> None:
    """404, so that an SDK does not take it for one."""
    async with client(served(MemoryTopics(), ServerSettings(mode="cloud"))) as http:
        assert (await http.get("/dev")).status_code == 404


async def test_health_says_what_is_missing() -> None:
    """503 with the reason while waiting, and when Kafka does not answer."""
    async with client(served(MemoryTopics(), opened=False)) as http:
        waiting = await http.get("/health")
    assert waiting.status_code == 503
    assert "waiting for Kafka" in waiting.json()["error"]


@pytest.mark.parametrize("path", ["/v1/traces/userland", "/dev/traces", "/v0/telemetry", "/v1/runs/01X/metadata"])
async def test_telemetry_is_accepted_and_dropped(path: str) -> None:
    """SDKs must not stumble over it."""
    async with client(served(MemoryTopics())) as http:
        assert (await http.post(path, content=b"\x00")).status_code == 200
