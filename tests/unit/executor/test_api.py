"""What others ask an owner: which run a key has started, and whether a run has taken a signal."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette

from penstock.executor.api import Dispatches, OwnerApi
from penstock.executor.arrivals import CommandArrived, RunFact
from penstock.executor.ownership import Ownership
from penstock.executor.partition import PartitionOwner
from penstock.messages.ids import JobId
from penstock.messages.records import SignalAnswered
from penstock.runs.facts import CancelRequested, JobDue
from penstock.runs.run import Run

from .world import FN, App, World, ended, start, steps, three_steps


class OneOwner:
    """A process that owns partition 0."""

    def __init__(self, owner: PartitionOwner) -> None:
        self._owner = owner

    def owner(self, partition: int) -> PartitionOwner | None:
        return self._owner if partition == 0 else None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"partition": "0", "function": FN, "event_id": "invoke/k"}, 200),
        ({"partition": "0", "function": FN, "event_id": "invoke/other"}, 404),
        ({"partition": "0", "function": "app/other", "event_id": "invoke/k"}, 404),
        ({"partition": "1", "function": FN, "event_id": "invoke/k"}, 421),
        ({"partition": "x", "function": FN, "event_id": "invoke/k"}, 400),
        ({"partition": "0"}, 400),
    ],
)
async def test_the_run_of_a_key(query: dict[str, str], status: int) -> None:
    """The first run that it started; 404 when it has started none, 421 when another process owns the partition."""
    world = World(App(three_steps))
    first, second = start("a", dedupe="invoke/k"), start("b", dedupe="invoke/k")
    world.commands = [first, second]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, first.run_id))
    api = OwnerApi(cast(Ownership, OneOwner(owner)), cast(Dispatches, world.app), 1)
    transport = httpx.ASGITransport(Starlette(routes=api.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://owner") as http:
        answer = await http.get("/deduplicated", params=query)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"run_id": first.run_id}


def waits_for_a_signal(run: Run, job: JobId) -> object:
    if not run.steps:
        return steps('{"op":"WaitForSignal","id":"s","opts":{"signal":"go","timeout":"1h"}}')
    return steps('{"op":"RunComplete","id":"x","data":1}')


@pytest.mark.parametrize(
    ("what_comes", "taken"), [("signal", True), ("timeout", False), ("timeout, then signal", False), ("cancel", False)]
)
async def test_a_signal_is_taken_or_comes_too_late(what_comes: str, taken: bool) -> None:
    """The run's owner decides, once; until then whoever asks waits."""
    world = World(App(waits_for_a_signal))  # type: ignore[arg-type]
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    run_id, job_id = world.commands[0].run_id, JobId("signal/s")
    await world.run_until(owner, lambda: (run := owner.load(run_id)) is not None and job_id in run.jobs)
    api = OwnerApi(cast(Ownership, OneOwner(owner)), cast(Dispatches, world.app), 1)
    transport = httpx.ASGITransport(Starlette(routes=api.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://owner") as http:
        asking = asyncio.create_task(http.get(f"/runs/{run_id}/signal", params={"job_id": job_id}))
        async with asyncio.timeout(5):
            await asyncio.wait([asking], timeout=0.05)
            assert not asking.done()
        sent = CommandArrived(1, SignalAnswered("go", run_id, job_id, "sent", "null"))
        if what_comes == "cancel":
            owner.put(RunFact(run_id, CancelRequested("no more")))
        if "timeout" in what_comes:
            world.clock.now += 3_600_000
            owner.put(RunFact(run_id, JobDue(job_id)))
        if "signal" in what_comes:
            owner.put(sent)
        await world.run_until(owner, lambda: ended(owner, run_id))
        answer = await asking
    assert (answer.status_code, answer.json()) == (200, {"taken": taken})


async def test_of_an_unknown_run_nothing_is_known() -> None:
    """Neither that it took the signal, nor that it did not."""
    world = World(App(three_steps))
    owner = world.owner()
    await owner.open()
    api = OwnerApi(cast(Ownership, OneOwner(owner)), cast(Dispatches, world.app), 1)
    transport = httpx.ASGITransport(Starlette(routes=api.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://owner") as http:
        answer = await http.get(f"/runs/{start('a').run_id}/signal", params={"job_id": "signal/s"})
    assert answer.status_code == 410
