"""From arrival to acknowledgement, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from penstock.errors import Unavailable
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.kafka.produce import Outgoing
from penstock.matcher import intake as module
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.intake import Intake, Ports
from penstock.matcher.lookback import Lookback
from penstock.matcher.shapes import ShapeTable
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import DeadLetter, Event, Function, StartRun
from penstock.messages.topics import Topics
from penstock.messages.writer_schemas import WriterSchema

CODEC = Codec()
TOPICS = Topics("p.")
NOW = 1_788_000_000_000


class Outbox:
    """A sender whose deliveries happen when the test says so."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.sent: list[tuple[Sequence[Outgoing], asyncio.Future[int]]] = []

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.sent.append((records, future))
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

    def records(self) -> list[object]:
        return [CODEC.decode(one.value or b"") for records, _ in self.sent for one in records]


class Functions:
    """A registry that learns of functions when the test says so."""

    def __init__(self) -> None:
        self.table = FunctionTable()
        self.asked: list[int] = []
        self.changed = asyncio.Event()
        self.ends: list[int | None] = []
        """What the broker answers, one after the other: an end of the topic, or nothing."""

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        self.asked.append(offset)
        if offset > 1000 or self.ends:
            return False
        while self.table.offset < offset:
            self.changed.clear()
            await self.changed.wait()
        return True

    async def end(self, timeout_seconds: float) -> int:
        end = self.ends.pop(0) if self.ends else self.table.offset + 1
        if end is None:
            raise Unavailable("away")
        return end

    def register(self, slug: str, offset: int) -> None:
        config = FunctionConfig(FunctionKey(f"app/{slug}"), "app", slug, slug, "x", (EventTrigger("placed"),))
        self.table.apply(Function(config.key, "app", slug, slug, 1, config.to_json(), 1), offset)
        self.changed.set()


class Bench:
    """An intake with everything around it in the test's hands."""

    def __init__(self, max_in_flight: int = 100, incoming: IncomingEvents | None = None) -> None:
        self.outbox = Outbox()
        self.functions = Functions()
        self.acknowledged: list[int] = []
        self.failures: list[Exception] = []
        self.shapes = ShapeTable()
        self.lookback = Lookback(self.shapes)
        deliveries = Deliveries(self.outbox, max_in_flight, self.failures.append)
        decoder = incoming or IncomingEvents(CODEC)
        self.intake = Intake(Ports(decoder, self.functions, deliveries, CODEC, TOPICS, self.shapes, self.lookback))

    async def take(self, offset: int, value: bytes | None = None, registry: bytes | None = None) -> None:
        headers = [] if registry is None else [("penstock-registry", registry)]
        body = CODEC.encode(Event("placed", id=f"e{offset}")) if value is None else value
        arrival = Arrival(TOPICS.events, 0, offset, NOW, body, headers)
        await self.intake.take(arrival, b"key", lambda: self.acknowledged.append(offset))


async def test_nothing_is_acknowledged_before_it_is_delivered() -> None:
    """A record is done with when its commands are on every in-sync replica, in the order of arrival."""
    bench = Bench()
    bench.functions.register("f", 0)
    await bench.take(0)
    await bench.take(1)
    assert bench.acknowledged == []
    await bench.outbox.deliver(1)
    assert bench.acknowledged == []
    await bench.outbox.deliver(0)
    assert bench.acknowledged == [0, 1]


async def test_an_event_that_starts_nothing_is_acknowledged_at_once() -> None:
    """There is nothing to wait for, except for what came before it."""
    bench = Bench()
    await bench.take(0)
    assert bench.acknowledged == [0]
    bench.functions.register("f", 0)
    await bench.take(1)
    await bench.take(2, CODEC.encode(Event("other")))
    assert bench.acknowledged == [0]
    await bench.outbox.deliver(0)
    assert bench.acknowledged == [0, 1, 2]


async def test_a_delivery_that_fails_for_good_ends_the_matcher_unacknowledged() -> None:
    """The record, and all after it, are read again by the next one."""
    bench = Bench()
    bench.functions.register("f", 0)
    await bench.take(0)
    await bench.take(1)
    await bench.outbox.deliver(0, Unavailable("gone"))
    await bench.outbox.deliver(1)
    assert bench.acknowledged == []
    assert [str(error) for error in bench.failures] == ["gone"]


async def test_a_full_queue_to_kafka_holds_back_the_next_event() -> None:
    """While too much is on its way, nothing more is sent; a delivery makes room."""
    bench = Bench(max_in_flight=1)
    bench.functions.register("f", 0)
    await bench.take(0)
    await bench.take(1)
    third = asyncio.create_task(bench.take(2))
    await asyncio.sleep(0)
    assert len(bench.outbox.sent) == 2
    assert not third.done()
    await bench.outbox.deliver(0)
    await asyncio.wait_for(third, 5)
    assert len(bench.outbox.sent) == 3


async def test_what_cannot_be_decoded_is_sent_to_the_dead_letters() -> None:
    """It is acknowledged when the dead letter is delivered."""
    bench = Bench()
    await bench.take(0, b"garbage")
    (letter,) = bench.outbox.records()
    assert isinstance(letter, DeadLetter)
    assert (letter.value, letter.offset, letter.key) == (b"garbage", 0, b"key")
    assert bench.acknowledged == []
    await bench.outbox.deliver(0)
    assert bench.acknowledged == [0]


async def test_an_event_on_which_the_matcher_fails_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistake loses no event and stops no other."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(module, "match", broken)
    bench = Bench()
    await bench.take(0)
    (letter,) = bench.outbox.records()
    assert isinstance(letter, DeadLetter)
    assert "please report it: ZeroDivisionError('ours')" in letter.reason


async def test_an_event_waits_for_the_functions_its_sender_had_seen() -> None:
    """Cause before effect: what was registered before it was sent is triggered by it."""
    bench = Bench()
    taking = asyncio.create_task(bench.take(0, registry=b"3"))
    await asyncio.sleep(0)
    assert bench.functions.asked == [3]
    assert bench.outbox.sent == []
    bench.functions.register("f", 3)
    await asyncio.wait_for(taking, 5)
    (start,) = bench.outbox.records()
    assert isinstance(start, StartRun)
    assert start.registry_offset == 3


async def test_what_will_never_be_there_is_waited_for_once() -> None:
    """A stranger's header with a large number delays one event, not every one; smaller numbers are waited for."""
    bench = Bench()
    bench.functions.register("f", 0)
    for offset in range(3):
        await bench.take(offset, registry=b"5000")
    assert bench.functions.asked == [5000]
    assert len(bench.outbox.sent) == 3
    taking = asyncio.create_task(bench.take(3, registry=b"1"))
    await asyncio.sleep(0)
    assert bench.functions.asked == [5000, 1]
    bench.functions.register("g", 1)
    await asyncio.wait_for(taking, 5)


async def test_what_exists_is_waited_for_as_long_as_it_takes() -> None:
    """Neither a broker that does not answer nor a topic that we cannot read lets an event miss its function."""
    bench = Bench()
    bench.functions.ends = [None, 7, None, 4]
    taking = asyncio.create_task(bench.take(0, registry=b"3"))
    for _ in range(100):
        if bench.functions.ends:
            await asyncio.sleep(0)
    assert bench.functions.asked == [3] * 5
    assert not taking.done()
    bench.functions.register("f", 3)
    await asyncio.wait_for(taking, 5)
    (start,) = bench.outbox.records()
    assert isinstance(start, StartRun)
    assert start.registry_offset == 3


async def test_what_the_broker_does_not_have_is_not_waited_for() -> None:
    """As soon as it can be asked; an offset at the end is the next one, which is not there yet."""
    bench = Bench()
    bench.functions.register("f", 0)
    bench.functions.ends = [None, 3]
    await asyncio.wait_for(bench.take(0, registry=b"3"), 5)
    await asyncio.wait_for(bench.take(1, registry=b"3"), 5)
    assert bench.functions.asked == [3, 3]
    assert len(bench.outbox.sent) == 2


async def test_an_event_waits_for_the_schema_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that does not answer makes no dead letter: the record is tried again."""

    class Away:
        def __init__(self) -> None:
            self.asked = 0

        def schema(self, schema_id: int) -> WriterSchema | None:
            self.asked += 1
            if self.asked < 3:
                raise Unavailable("away")
            return WriterSchema("JSON", "x")

    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    schemas = Away()
    bench = Bench(incoming=IncomingEvents(CODEC, schemas))
    bench.functions.register("f", 0)
    await bench.take(0, b'\x00\x00\x00\x00\x07{"name": "placed", "data": {}}')
    assert schemas.asked == 3
    (start,) = bench.outbox.records()
    assert isinstance(start, StartRun)
