"""What the matcher has sent and Kafka has not yet acknowledged, bounded for all that send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from ..kafka.produce import Outgoing


class Sender(Protocol):
    """What `kafka.produce` does: records in order, and word when all in-sync replicas have them."""

    in_flight: int

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        """Send records together; the future is done when all are acknowledged, or raises `Unavailable`."""


class Deliveries:
    """Sends when there is room; a delivery that fails for good ends the matcher."""

    def __init__(self, sender: Sender, max_in_flight: int, fail: Callable[[Exception], None]) -> None:
        """`fail` is told, once and for all, that a delivery failed."""
        self._sender = sender
        self._max_in_flight = max_in_flight
        self._fail = fail
        self._room = asyncio.Event()

    async def send(self, records: Sequence[Outgoing], delivered: Callable[[], object]) -> None:
        """Return when the records are on their way; `delivered` is called when all of them have arrived."""
        await self._has_room()
        self._sender.send_all(records).add_done_callback(partial(self._settled, delivered))

    async def deliver(self, records: Sequence[Outgoing]) -> None:
        """Return when the records have arrived."""
        if records:
            arrived = asyncio.Event()
            await self.send(records, arrived.set)
            await arrived.wait()

    async def _has_room(self) -> None:
        while self._sender.in_flight > self._max_in_flight:
            self._room.clear()
            await self._room.wait()

    def _settled(self, delivered: Callable[[], object], sent: asyncio.Future[int]) -> None:
        self._room.set()
        if sent.cancelled():
            return
        error = sent.exception()
        if error is None:
            delivered()
        else:
            self._fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))
