"""What is on its way is bounded, and what arrives is told."""

from __future__ import annotations

import asyncio

from penstock.errors import Unavailable
from penstock.kafka.produce import Outgoing
from penstock.matcher.deliveries import Deliveries

from .outbox import Outbox

RECORD = [Outgoing("t", b"k", b"v")]


async def test_who_sends_waits_for_room_that_any_delivery_makes() -> None:
    """Also one that somebody else had sent."""
    outbox = Outbox()
    deliveries = Deliveries(outbox, 0, lambda _: None)
    told: list[str] = []
    await deliveries.send(RECORD, lambda: told.append("first"))
    second = asyncio.create_task(deliveries.send(RECORD, lambda: told.append("second")))
    await asyncio.sleep(0)
    assert len(outbox.sent) == 1
    await outbox.deliver(0)
    await asyncio.wait_for(second, 5)
    assert told == ["first"]
    await outbox.deliver(1)
    assert told == ["first", "second"]


async def test_deliver_returns_when_all_has_arrived() -> None:
    """Nothing to send has arrived already."""
    outbox = Outbox()
    deliveries = Deliveries(outbox, 9, lambda _: None)
    await deliveries.deliver([])
    delivering = asyncio.create_task(deliveries.deliver(RECORD))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not delivering.done()
    await outbox.deliver(0)
    await asyncio.wait_for(delivering, 5)


async def test_a_delivery_that_fails_for_good_is_told_to_the_one_who_ends_it_all() -> None:
    """And never counts as delivered."""
    outbox, failures, told = Outbox(), list[Exception](), list[str]()
    deliveries = Deliveries(outbox, 9, failures.append)
    await deliveries.send(RECORD, lambda: told.append("delivered"))
    await outbox.deliver(0, Unavailable("gone"))
    assert ([str(error) for error in failures], told) == (["gone"], [])
