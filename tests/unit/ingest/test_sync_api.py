"""Syncing an app at somebody's wish."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from penstock.ingest.sync_api import SyncApi
from penstock.messages.records import App

from .doubles import NOW, MemoryTopics, open_publisher


@pytest.mark.parametrize("error", [None, "the app answered 500"])
async def test_the_answer_says_how_it_went(error: str | None) -> None:
    """An app that fails is an answer, not an error of ours."""
    topics, asked = MemoryTopics(), []
    topics.table.apply(App("shop/eu", "http://127.0.0.1:1/api/inngest", "", NOW), 0)
    topics.table.apply(App("far", "", "", NOW), 1)

    async def sync(url: str) -> str | None:
        asked.append(url)
        return error

    app = Starlette(routes=SyncApi(open_publisher(topics), sync).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as client:
        answer = await client.post("/v1/apps/shop%2Feu/sync")
        unknown = await client.post("/v1/apps/nobody/sync")
        without_url = await client.post("/v1/apps/far/sync")
    assert answer.json()["data"] == {"app": "shop/eu", "url": "http://127.0.0.1:1/api/inngest", "error": error}
    assert asked == ["http://127.0.0.1:1/api/inngest"]
    assert (unknown.status_code, without_url.status_code) == (404, 409)
