"""A sender in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock.kafka.produce import Outgoing
from penstock.messages.codec import Codec
from penstock.messages.records import Record

CODEC = Codec()


class Outbox:
    """Delivers at once, or when the test says so."""

    def __init__(self, at_once: bool = False) -> None:
        self.in_flight = 0
        self.at_once = at_once
        self.sent: list[tuple[Sequence[Outgoing], asyncio.Future[int]]] = []

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.sent.append((records, future))
        if self.at_once:
            future.set_result(0)
        else:
            self.in_flight += len(records)
        return future

    async def deliver(self, place: int, error: Exception | None = None) -> None:
        records, future = self.sent[place]
        self.in_flight -= len(records)
        if error is None:
            future.set_result(0)
        else:
            future.set_exception(error)
        await asyncio.sleep(0)

    def records(self) -> list[Record]:
        return [CODEC.decode(one.value or b"") for records, _ in self.sent for one in records]
