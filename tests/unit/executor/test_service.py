"""An executor that is told to end has patience with calls that take long, up to its bound."""

from __future__ import annotations

import asyncio

import pytest

from penstock.executor.ownership import LONG_CALL_SECONDS
from penstock.executor.service import _patience


class Calls:
    """Calls that end when the test says; notes what it was asked for."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.asked: list[tuple[object, float]] = []

    async def ended(self, owner: object, older_than: float = 0.0) -> None:
        self.asked.append((owner, older_than))
        await self.over.wait()


async def test_long_calls_of_all_partitions_are_waited_for() -> None:
    """It goes on as soon as none is left."""
    calls = Calls()
    waiting = asyncio.create_task(_patience(calls, 60.0))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert calls.asked == [(None, LONG_CALL_SECONDS)]
    assert not waiting.done()
    calls.over.set()
    async with asyncio.timeout(5):
        await waiting


async def test_patience_has_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    """A call that hangs does not keep the process; the log says that it is made again elsewhere."""
    caplog.set_level("INFO")
    async with asyncio.timeout(5):
        await _patience(Calls(), 0.01)  # type: ignore[arg-type]
    assert "made again elsewhere" in caplog.text


async def test_a_second_signal_ends_the_patience() -> None:
    """What follows, leaving the group in order, is done nevertheless."""
    left = []

    async def serve() -> None:
        await _patience(Calls(), 60.0)  # type: ignore[arg-type]
        left.append("the group")

    serving = asyncio.create_task(serve())
    await asyncio.sleep(0)
    serving.cancel()
    async with asyncio.timeout(5):
        await serving
    assert left == ["the group"]
