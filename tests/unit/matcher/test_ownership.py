"""Tables of partitions that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from penstock.errors import Fenced
from penstock.matcher import ownership as module
from penstock.matcher.acknowledgements import Place
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.ownership import WaitOwnership
from penstock.matcher.pairing import PairingPorts
from penstock.messages.ids import FunctionKey, JobId, run_id
from penstock.messages.incoming import Arrival
from penstock.messages.keys import wait_key
from penstock.messages.records import CorrelatedEvent, ResumeRun, Wait
from penstock.messages.topics import Topics
from penstock.state.memory import MemoryStore

from .logs import ListLog, StoredOffsets
from .outbox import CODEC, Outbox

TOPICS = Topics("p.")
NOW = 1_788_000_000_000
WAIT = Wait(run_id(FunctionKey("app/f"), "1", NOW), JobId("J"), "a", "", "", "", "{}", NOW, NOW + 10, NOW, ())
EVENT = CorrelatedEvent("a", "", "", "I", NOW, "{}")


class Bench:
    """Two partitions of both topics."""

    def __init__(self) -> None:
        self.logs: dict[Place, ListLog] = {}
        self.matched, self.store = StoredOffsets(), MemoryStore()
        self.let_go: list[dict[Place, int | None]] = []
        self.refusals: list[Exception] = []
        self.failures: list[Exception] = []
        self.acknowledged: list[int] = []
        self.outbox = Outbox(at_once=True)
        deliveries = Deliveries(self.outbox, 100, self.failures.append)
        self.ports = PairingPorts(deliveries, CODEC, TOPICS, lambda: NOW, self.failures.append)
        self.ownership = WaitOwnership(self.store, self.log, self.matched, 10**6, self.go)

    def log(self, topic: str, partition: int) -> ListLog:
        return self.logs.setdefault((topic, partition), ListLog())

    async def go(self, places: dict[Place, int | None]) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.let_go.append(places)

    def assign(self, *partitions: int) -> None:
        self.ownership.assign(partitions, self.ports)

    def held(self) -> set[int]:
        return {partition for _, partition in self.ownership.held_back((TOPICS.waits, TOPICS.correlations))}

    async def event(self, partition: int, offset: int) -> None:
        arrival = Arrival(TOPICS.correlations, partition, offset, NOW, CODEC.encode(EVENT))
        await self.ownership.take(arrival, b"k", lambda: self.acknowledged.append(offset))

    def resumed(self) -> int:
        return sum(isinstance(record, ResumeRun) for record in self.outbox.records())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("not within ten seconds")


async def test_a_partition_is_held_back_until_its_table_is_restored() -> None:
    """Then the group goes on behind what was restored."""
    bench = Bench()
    bench.log(TOPICS.waits, 0).append(NOW, wait_key(WAIT).encode(), CODEC.encode(WAIT))
    bench.assign(0, 1)
    assert bench.held() == {0, 1}
    taking = asyncio.create_task(bench.event(0, 0))
    await until(lambda: len(bench.let_go) == 2)
    assert bench.held() == set()
    await asyncio.wait_for(taking, 5)
    assert bench.resumed() == 1
    expected = {(TOPICS.waits, 0): 1, (TOPICS.correlations, 0): None}
    assert expected in bench.let_go
    assert {(TOPICS.waits, 1): None, (TOPICS.correlations, 1): None} in bench.let_go
    await bench.ownership.close()


async def test_a_partition_that_moves_is_closed_and_can_come_back() -> None:
    """Its records are left to its owner; what it missed meanwhile is restored."""
    bench = Bench()
    bench.assign(0, 1)
    await until(lambda: len(bench.let_go) == 2)
    bench.assign(1)
    await until(lambda: len(bench.let_go) == 3)
    await bench.event(0, 0)
    assert bench.acknowledged == []
    bench.log(TOPICS.waits, 0).append(NOW, wait_key(WAIT).encode(), CODEC.encode(WAIT))
    bench.assign(0, 1)
    await until(lambda: len(bench.let_go) == 5)
    await bench.event(0, 0)
    assert bench.resumed() == 1
    await bench.ownership.close()
    assert [bench.store.open(n).changelog_offset() for n in (0, 1)] == [0, -1]


async def test_a_restore_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a table that is opened anew."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    bench = Bench()
    log = bench.log(TOPICS.waits, 0)
    log.append(NOW, wait_key(WAIT).encode(), CODEC.encode(WAIT))
    log.fail_at = 0
    bench.assign(0)
    await until(lambda: len(bench.let_go) == 1)
    await bench.event(0, 0)
    assert (bench.resumed(), bench.failures) == (1, [])
    await bench.ownership.close()


async def test_a_group_that_has_gone_on_gives_another_assignment() -> None:
    """Until then nothing is read."""
    bench = Bench()
    bench.refusals.append(Fenced("gone on"))
    bench.assign(0)
    await until(lambda: not bench.refusals)
    await asyncio.sleep(0)
    assert bench.held() == {0}
    bench.assign(0)
    await until(lambda: len(bench.let_go) == 1)
    assert bench.held() == set()
    await bench.ownership.close()
