"""The door to Kafka: open, shut, and full."""

from __future__ import annotations

import asyncio

import pytest

from penstock.errors import Overloaded, Unavailable
from penstock.ingest.publish import Bounds, Publisher
from penstock.messages.codec import Codec
from penstock.messages.records import App, Event
from tests.unit.ingest.doubles import NOW, TOPICS, MemoryTopics, open_publisher

EVENT = Event("a", internal_id="01M3250V000000000000000001")
APP = App("shop/eu", "http://127.0.0.1:1/api/inngest", "", NOW)


async def test_shut_until_opened() -> None:
    """What it waits for is said in the refusal."""
    publisher = Publisher(TOPICS, Codec(), Bounds(1, 1))
    publisher.waiting_for = "the function table"
    with pytest.raises(Unavailable, match="waiting for the function table"):
        await publisher.events([EVENT])
    assert list(publisher.table.functions()) == []


async def test_what_is_not_acknowledged_in_time_is_unavailable_and_forgotten() -> None:
    """The late acknowledgement, or its error, finds nobody waiting and does no harm."""
    sent: list[asyncio.Future[int]] = []

    class Late(MemoryTopics):
        def send_all(self, records: object) -> asyncio.Future[int]:
            sent.append(asyncio.get_running_loop().create_future())
            return sent[-1]

    publisher = open_publisher(Late(), Bounds(10, 0.01))
    with pytest.raises(Unavailable, match="did not acknowledge"):
        await publisher.events([EVENT])
    assert sent[0].cancelled()


async def test_more_than_the_bound_is_refused_before_it_is_sent() -> None:
    """`Overloaded` means that nothing of the request is on its way."""
    topics = MemoryTopics(in_flight=5)
    with pytest.raises(Overloaded):
        await open_publisher(topics, Bounds(5, 1)).events([EVENT])
    assert topics.sent == []


async def test_registrations_are_readable_when_written() -> None:
    """Who is told of success finds it in the table; who cannot be is told to try again."""
    topics = MemoryTopics()
    publisher = open_publisher(topics)
    await publisher.functions([APP])
    assert publisher.table.app("shop/eu") == APP
    assert topics.sent[0].key == b"shop%2Feu"
    topics.readable = False
    with pytest.raises(Unavailable, match="not readable yet"):
        await publisher.functions([APP])


async def test_nothing_to_register_needs_no_kafka() -> None:
    """An identical sync succeeds while Kafka is away."""
    await open_publisher(MemoryTopics(broken=True)).functions([])
