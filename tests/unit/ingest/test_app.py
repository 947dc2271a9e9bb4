"""The application as a whole: what asks for the signing key."""

from __future__ import annotations

import pytest

from penstock.settings import ServerSettings
from tests.unit.ingest.doubles import MemoryTopics, client, served

RUN = "01M3250V000000000000000001"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v0/runs/{RUN}/batch"),
        ("DELETE", f"/v1/runs/{RUN}"),
        ("POST", f"/v1/checkpoint/{RUN}/async"),
        ("POST", "/v1/signals"),
        ("POST", "/invoke/shop-import"),
        ("POST", "/v2/apps/shop/functions/import/invoke"),
        ("GET", "/v1/cancellations"),
        ("POST", "/v1/cancellations"),
        ("DELETE", f"/v1/cancellations/{RUN}"),
        ("GET", "/v1/apps/shop/functions"),
    ],
)
async def test_the_signing_key_is_asked_for(method: str, path: str) -> None:
    """What shows users' data, or starts and ends their runs, is for those who hold the key; nothing is written."""
    topics = MemoryTopics()
    server = ServerSettings(mode="cloud", signing_key="signkey-test-abcd")
    async with client(served(topics, server)) as http:
        refused = await http.request(method, path, headers={"authorization": "Bearer signkey-test-abce"})
        unnamed = await http.request(method, path)
    assert (refused.status_code, unnamed.status_code) == (401, 401)
    assert "Authorization: Bearer" in refused.json()["error"]
    assert topics.sent == []
