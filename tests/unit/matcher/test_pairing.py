"""From the arrival of a wait or a correlated event to its acknowledgement."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from penstock.functions.triggering import Conditions
from penstock.matcher import pairing as module
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.pairing import Pairing, PairingPorts
from penstock.matcher.waits import WAITS_PER_PAGE, WaitTable
from penstock.messages.ids import FunctionKey, JobId, run_id
from penstock.messages.incoming import Arrival
from penstock.messages.keys import correlation_of, wait_key
from penstock.messages.records import CorrelatedEvent, DeadLetter, ResumeRun, Wait
from penstock.messages.topics import Topics
from penstock.state.memory import MemoryStore

from .outbox import CODEC, Outbox

TOPICS = Topics("p.")
NOW = 1_788_000_000_000
HOUR = 3_600_000


def wait(number: int = 0) -> Wait:
    run = run_id(FunctionKey("app/f"), f"{number}", NOW)
    return Wait(run, JobId("J"), "a", "data.x", "1", "", "{}", NOW, NOW + HOUR, NOW, ())


def event(number: int = 0, size: int = 0) -> CorrelatedEvent:
    return CorrelatedEvent("a", "data.x", "1", f"I{number}", NOW + number, "{" + " " * size + "}")


class Bench:
    """One partition's pairing with everything around it in the test's hands."""

    def __init__(self, at_once: bool = False) -> None:
        self.outbox = Outbox(at_once)
        self.failures: list[Exception] = []
        self.acknowledged: list[tuple[str, int]] = []
        self.now = NOW
        deliveries = Deliveries(self.outbox, 10**6, self.failures.append)
        self.table = WaitTable(MemoryStore().open(0), CODEC, Conditions())
        ports = PairingPorts(deliveries, CODEC, TOPICS, lambda: self.now, self.failures.append)
        self.pairing = Pairing(self.table, ports, HOUR)
        self.offsets = {TOPICS.waits: 0, TOPICS.correlations: 0}

    async def wait(self, one: Wait, value: bytes | None = b"", offset: int | None = None) -> None:
        await self.take(TOPICS.waits, wait_key(one).encode(), CODEC.encode(one) if value == b"" else value, offset)

    async def event(self, one: CorrelatedEvent) -> None:
        await self.take(TOPICS.correlations, correlation_of(one).encode(), CODEC.encode(one))

    async def take(self, topic: str, key: bytes | None, value: bytes | None, offset: int | None = None) -> None:
        at = self.offsets[topic] if offset is None else offset
        self.offsets[topic] = max(self.offsets[topic], at + 1)
        arrival = Arrival(topic, 0, at, NOW, value)
        await self.pairing.take(arrival, key, lambda: self.acknowledged.append((topic, at)))

    def resumed(self) -> list[str]:
        return [record.run_id for record in self.outbox.records() if isinstance(record, ResumeRun)]


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(30):
        await asyncio.sleep(0)


async def test_whichever_comes_second_finds_the_other() -> None:
    """An event after its wait, a wait after its event; a wait that has ended is found by none."""
    bench = Bench()
    await bench.wait(wait(1))
    await bench.event(event())
    await bench.wait(wait(2))
    assert bench.resumed() == [wait(1).run_id, wait(2).run_id]
    await bench.wait(wait(1), None)
    await bench.event(event(1))
    assert bench.resumed()[2:] == [wait(2).run_id]


async def test_nothing_is_acknowledged_before_its_resumes_are_delivered() -> None:
    """Each topic in its own order."""
    bench = Bench()
    await bench.wait(wait())
    assert bench.acknowledged == [(TOPICS.waits, 0)]
    await bench.event(event(0))
    await bench.event(event(1))
    await bench.outbox.deliver(1)
    assert len(bench.acknowledged) == 1
    await bench.outbox.deliver(0)
    assert bench.acknowledged[1:] == [(TOPICS.correlations, 0), (TOPICS.correlations, 1)]


async def test_a_record_that_was_restored_is_not_applied_again() -> None:
    """The tombstone behind it is in the table already; it is checked all the same if the wait is pending."""
    bench = Bench()
    bench.table.fold([(wait_key(wait(2)).encode(), CODEC.encode(wait(2)))], 9, NOW)
    await bench.event(event())
    await bench.wait(wait(1), offset=3)
    assert not bench.table.is_pending(wait_key(wait(1)).encode())
    await bench.wait(wait(2), offset=4)
    assert bench.resumed() == [wait(2).run_id, wait(2).run_id]
    assert bench.table.waits_offset == 9


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        (TOPICS.waits, wait_key(wait()).encode(), b"garbage"),
        (TOPICS.waits, b"elsewhere", CODEC.encode(wait())),
        (TOPICS.waits, b"\0e", None),
        (TOPICS.waits, None, None),
        (TOPICS.correlations, b"k", CODEC.encode(wait())),
        (TOPICS.correlations, b"k", None),
    ],
)
async def test_what_cannot_be_used_is_a_dead_letter(topic: str, key: bytes | None, value: bytes | None) -> None:
    """And the partition goes on."""
    bench = Bench(at_once=True)
    await bench.take(topic, key, value)
    await asyncio.sleep(0)
    (letter,) = bench.outbox.records()
    assert isinstance(letter, DeadLetter)
    assert (letter.topic, letter.key, letter.value) == (topic, key, value)
    assert bench.acknowledged == [(topic, 0)]


async def test_a_record_on_which_the_matcher_fails_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistake stops no other record."""
    bench = Bench()
    monkeypatch.setattr(bench.table, "met_by", lambda _: 1 / 0)
    await bench.event(event())
    (letter,) = bench.outbox.records()
    assert isinstance(letter, DeadLetter)
    assert "please report it: ZeroDivisionError" in letter.reason


async def test_an_event_for_very_many_waits_lets_others_pass() -> None:
    """Its resumes go out page by page, few of them ahead of their delivery; a later event does not wait for them."""
    bench = Bench()
    runs = [wait(n) for n in range(20 * WAITS_PER_PAGE)]
    bench.table.fold([(wait_key(one).encode(), CODEC.encode(one)) for one in runs], 1, NOW)
    await bench.event(event())
    other = replace(wait(10**6), value="2")
    await bench.wait(other, offset=2)
    await bench.event(replace(event(1), value="2"))
    await settled()
    assert bench.resumed().count(other.run_id) == 1
    assert len(bench.resumed()) == module.BATCHES_AHEAD * WAITS_PER_PAGE + 1
    while any(not future.done() for _, future in bench.outbox.sent):
        for place, (_, future) in enumerate(tuple(bench.outbox.sent)):
            if not future.done():
                await bench.outbox.deliver(place)
        await settled()
    assert set(bench.resumed()) == {one.run_id for one in (*runs, other)}
    assert [offset for topic, offset in bench.acknowledged if topic == TOPICS.correlations] == [0, 1]


async def test_large_events_go_out_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every resume carries the event: a batch is bounded by bytes."""
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    bench = Bench(at_once=True)
    for number in range(5):
        await bench.wait(wait(number))
    await bench.event(event(size=400))
    await settled()
    assert sorted(len(records) for records, _ in bench.outbox.sent) == [1, 2, 2]
    assert bench.acknowledged[-1] == (TOPICS.correlations, 0)


async def test_what_was_under_way_is_left_to_the_next_owner() -> None:
    """A partition that moves: nothing more is sent for it, and nothing more is acknowledged."""
    bench = Bench()
    runs = [wait(n) for n in range(2 * WAITS_PER_PAGE)]
    bench.table.fold([(wait_key(one).encode(), CODEC.encode(one)) for one in runs], 1, NOW)
    await bench.event(event())
    await asyncio.sleep(0)
    sent = len(bench.outbox.sent)
    bench.pairing.retire()
    await asyncio.sleep(0)
    await bench.outbox.deliver(0)
    await asyncio.sleep(0)
    assert (len(bench.outbox.sent), bench.acknowledged, bench.failures) == (sent, [], [])


async def test_events_older_than_the_window_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """While events come; nothing runs for it when none do."""
    monkeypatch.setattr(module, "FORGET_EVERY", 1)
    bench = Bench()
    await bench.event(event())
    bench.now += HOUR + 1
    await bench.event(replace(event(1), value="2"))
    await bench.wait(wait())
    assert bench.resumed() == []
