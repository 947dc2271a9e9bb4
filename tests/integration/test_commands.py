"""Reading commands from a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock.executor.arrivals import CommandArrived
from penstock.executor.commands import CommandReader
from penstock.messages.codec import Codec
from penstock.settings import KafkaSettings


class Owner:
    """Of partition 0; tells why it was ended."""

    partition = 0
    waiting = waiting_size = 0

    def __init__(self, next_command: int) -> None:
        self.next_command = next_command
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def put_all(self, arrivals: Sequence[CommandArrived]) -> None:
        raise AssertionError(f"there is nothing to read, and yet {arrivals} came")

    def end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


async def test_a_place_that_is_gone_is_the_owners_to_decide_about(kafka_settings: KafkaSettings) -> None:
    """A topic made anew ends before the owner's place; reading it from the start would pass over what it applied."""
    reader = CommandReader(kafka_settings, Codec())
    owner = Owner(50)
    try:
        reader.add(owner)  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            assert "is gone" in await owner.ended
    finally:
        await reader.close()
