"""Word to open pages that something changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.dashboard import live
from penstock.dashboard.live import ALIVE, MAX_UNREAD, REFRESH, Watch
from penstock.errors import Unavailable
from penstock.history.change_list import Change


class MemoryChanges:
    """A ring of changes; `away` refuses to answer, `asked` counts."""

    def __init__(self) -> None:
        self.kept: list[Change] = []
        self.first_kept = 1
        self.away = False
        self.asked = 0
        self.refused = asyncio.Event()

    def add(self, ids: str) -> None:
        self.kept.append(Change(len(self.kept) + 1, ids))

    def latest(self) -> int:
        self._answer()
        return len(self.kept)

    def after(self, sequence: int) -> list[Change] | None:
        self._answer()
        return None if sequence + 1 < self.first_kept else self.kept[sequence:]

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            self.refused.set()
            raise Unavailable("away")


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> MemoryChanges:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.001)
    return MemoryChanges()


def watch_of(changes: MemoryChanges) -> Watch:
    async def read(question: Callable[..., Any], *args: Any) -> Any:
        return question(*args)

    return Watch(SimpleNamespace(history=SimpleNamespace(changes=changes), read=read))  # type: ignore[arg-type]


async def next_changed(follower: Any) -> bytes:
    """The next message that is no order to refresh."""
    async with asyncio.timeout(5):
        while (message := await anext(follower)) == REFRESH:
            pass
        return bytes(message)


async def test_a_page_refreshes_first_and_then_hears_of_every_change(changes: MemoryChanges) -> None:
    """What changed before the connection stood is on the refreshed page."""
    changes.add('{"old":1}')
    follower = watch_of(changes).follow()
    assert await anext(follower) == REFRESH
    assert await anext(follower) == REFRESH
    changes.add('{"events":["E"]}')
    assert await next_changed(follower) == b'event: changed\nid: 2\ndata: {"events":["E"]}\n\n'
    await follower.aclose()


async def test_changes_that_are_no_longer_kept_are_a_refresh(changes: MemoryChanges) -> None:
    """Nothing is missed silently."""
    follower = watch_of(changes).follow()
    await anext(follower), await anext(follower)
    changes.first_kept = 5
    async with asyncio.timeout(5):
        assert await anext(follower) == REFRESH
    await follower.aclose()


async def test_history_that_is_away_is_waited_for(changes: MemoryChanges) -> None:
    """Back again, pages refresh."""
    changes.away = True
    follower = watch_of(changes).follow()
    assert await anext(follower) == REFRESH
    async with asyncio.timeout(5):
        await changes.refused.wait()
        changes.away = False
        assert await anext(follower) == REFRESH
    await follower.aclose()


async def test_many_who_follow_cost_one_look_and_nobody_costs_none(changes: MemoryChanges) -> None:
    """The last one to leave ends it."""
    watch = watch_of(changes)
    followers = [watch.follow() for _ in range(5)]
    for follower in (*followers, *followers):
        assert await anext(follower) == REFRESH
    changes.add("{}")
    changes.add('{"runs":{}}')
    told = [await next_changed(follower) for follower in followers]
    assert len(set(told)) == 1
    for follower in followers:
        await follower.aclose()
    assert watch._looking is not None
    await asyncio.wait_for(watch._looking, 5)
    asked = changes.asked
    for _ in range(20):
        await asyncio.sleep(0)
    assert changes.asked == asked


async def test_a_page_that_does_not_read_is_told_to_reload(changes: MemoryChanges) -> None:
    """Its queue is bounded."""
    watch = watch_of(changes)
    follower = watch.follow()
    await anext(follower)
    (told,) = watch.followers
    for _ in range(MAX_UNREAD + 1):
        watch._send(ALIVE)
    assert told.qsize() == 1
    assert told.get_nowait() == REFRESH
    await follower.aclose()
