"""Bulk cancellations: which runs they mean, in portions, once, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import orjson
import pytest

from penstock.executor.arrivals import CommandArrived, FunctionsChanged, RunFact
from penstock.executor.cancellations import LIFETIME_MS, PORTION, reason_of
from penstock.executor.partition import PartitionOwner
from penstock.functions.table import Forgotten
from penstock.messages import keys
from penstock.messages.ids import FunctionKey, JobId, RunId, StepId, run_id
from penstock.messages.records import Cancellation, CancellationApplied, JobScheduled, RunStarted, StartRun
from penstock.runs.facts import CancelRequested
from penstock.runs.replies import Reply
from penstock.runs.run import Run
from penstock.state.memory import MemoryStore

from .world import CODEC, FN, T0, App, Died, LogChangelog, World, steps

OTHER = FunctionKey("app/other")
ALL = Cancellation("01C", FN, started_before=T0 + 1, created_at=T0 + 1000)


def sleeps(run: Run, job: JobId) -> Reply:
    return steps('{"op":"Sleep","id":"z","name":"1h"}')


def asleep(owner: PartitionOwner, command: StartRun) -> bool:
    run = owner.load(command.run_id)
    return run is not None and "sleep/z" in run.jobs


def start(n: int, function: FunctionKey = FN) -> StartRun:
    event = orjson.dumps({"name": "e", "data": {"n": n}}).decode()
    return StartRun(run_id(function, str(n), T0), function, (event,), (str(n),), T0)


async def sleeping(world: World, owner: PartitionOwner, *commands: StartRun) -> None:
    """Start runs and let them fall asleep."""
    world.commands += commands
    await world.deliver(owner)
    await world.run_until(owner, lambda: all(asleep(owner, command) for command in commands))


def cancel(world: World, cancellation: Cancellation) -> None:
    world.registry.table.apply(cancellation, world.registry.table.offset + 1)


def ended(owner: PartitionOwner, command: StartRun) -> bool:
    run = owner.load(command.run_id)
    return run is not None and run.ended is not None


def mark(owner: PartitionOwner, cancellation: Cancellation = ALL) -> bytes | None:
    return owner._state.get(keys.cancellation_key(cancellation.id))


async def applied(world: World, owner: PartitionOwner, cancellation: Cancellation = ALL) -> None:
    owner.put(FunctionsChanged())
    await world.run_until(owner, lambda: mark(owner, cancellation) is not None)


async def started(runs: int = 3) -> tuple[World, PartitionOwner]:
    world = World(App(sleeps))
    owner = world.owner()
    await owner.open()
    await sleeping(world, owner, *(start(n) for n in range(runs)))
    return world, owner


async def test_live_runs_of_the_function_are_cancelled() -> None:
    """They end as Cancelled with the reason; the partition remembers that it did it."""
    world, owner = await started()
    cancel(world, ALL)
    await applied(world, owner)
    for command in world.commands:
        end = owner.load(command.run_id).ended  # type: ignore[union-attr]
        assert end is not None
        assert end.status == "Cancelled"
        assert orjson.loads(end.output)["message"] == reason_of(ALL) == "cancelled in bulk by cancellation 01C"
    assert CODEC.decode(mark(owner) or b"") == CancellationApplied("01C", T0, ALL.created_at + LIFETIME_MS)


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        ({}, {0, 1, 2, 3}),
        ({"function": OTHER}, set()),
        ({"started_before": T0 + 2}, {0, 1}),
        ({"started_after": T0 + 1}, {2, 3}),
        ({"started_after": T0, "started_before": T0 + 2}, {1}),
        ({"condition": "event.data.n >= 2"}, {2, 3}),
        ({"condition": "event.data.n == 1 || event.data.missing == 7"}, {1}),
        ({"condition": "event.data.n"}, set()),
        ({"condition": "this does not compile ("}, set()),
    ],
)
async def test_function_times_and_condition_say_which(change: dict[str, object], meant: set[int]) -> None:
    """Both bounds are exclusive; a condition that fails or is not true means no run."""
    world = World(App(sleeps))
    owner = world.owner()
    await owner.open()
    for n in range(4):
        world.clock.now = T0 + n
        await sleeping(world, owner, start(n))
    cancellation = replace(ALL, **{"started_before": T0 + 10, **change})  # type: ignore[arg-type]
    world.clock.now = T0 + 1000
    cancel(world, cancellation)
    await applied(world, owner, cancellation)
    assert {n for n in range(4) if ended(owner, world.commands[n])} == meant


async def test_a_run_that_starts_later_within_the_time_is_cancelled_at_its_start() -> None:
    """It is never called; one that starts after that time is none of the cancellation's."""
    world, owner = await started(1)
    cancel(world, replace(ALL, started_before=T0 + 5000, condition="event.data.n != 7"))
    await applied(world, owner)
    calls = len(world.app.calls)
    world.clock.now = T0 + 2000
    world.commands += [start(1), start(7)]
    await world.deliver(owner)
    await world.run_until(owner, lambda: asleep(owner, world.commands[2]))
    assert ended(owner, world.commands[1])
    assert len(world.app.calls) == calls + 1
    world.clock.now = T0 + 5000
    await sleeping(world, owner, start(2))


async def test_applied_once() -> None:
    """Neither another change of the functions nor a new owner looks through the runs again."""
    world, owner = await started(1)
    cancel(world, ALL)
    await applied(world, owner)
    size = len(world.log.records)
    owner.put(FunctionsChanged())
    heard: list[Run | None] = []
    owner.put(RunFact(RunId("0" * 26), CancelRequested("nobody"), heard.append))
    await world.run_until(owner, lambda: bool(heard))
    assert owner.waiting == 0
    await owner.close()
    world.store = MemoryStore()
    heir = world.owner()
    await heir.open()
    heir.put(RunFact(RunId("0" * 26), CancelRequested("nobody"), heard.append))
    await world.run_until(heir, lambda: len(heard) == 2)
    assert heir.waiting == 0
    assert len(world.log.records) == size


async def test_a_cancellation_that_is_long_past_is_forgotten() -> None:
    """Its mark expires, and it is not looked at again although it is still listed."""
    world, owner = await started(1)
    cancel(world, ALL)
    await applied(world, owner)
    await owner.close()
    world.clock.now = ALL.created_at + LIFETIME_MS
    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: mark(heir) is None)
    assert not heir._core._cancellations.to_apply(heir._core.runs.draft(), world.clock.now)


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
@pytest.mark.parametrize("life", [1, 2, 3])
async def test_dying_in_the_middle_cancels_the_rest_later(moment: str, life: int) -> None:
    """The next owner goes on: every run ends, once."""
    world, owner = await started(2 * PORTION + PORTION // 2)
    await owner.close()
    cancel(world, ALL)
    changelog = LogChangelog(world.log)
    owner = world.owner(changelog)
    await owner.open()
    commits = 0
    commit = changelog.commit

    def counted(*args: object) -> int:
        nonlocal commits
        commits += 1
        changelog.die = moment if commits == life else None
        return commit(*args)  # type: ignore[arg-type]

    changelog.commit = counted  # type: ignore[method-assign]
    with pytest.raises(Died):
        await world.run_until(owner, lambda: False)
    await owner.close()
    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: mark(heir) is not None)
    assert all(ended(heir, command) for command in world.commands)
    ends = [key for key, value in world.log.records if key.startswith(b"end/") and value is not None]
    assert len(ends) == len(set(ends)) == len(world.commands)


@contextlib.asynccontextmanager
async def living(owner: PartitionOwner) -> AsyncIterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    """The owner at work without a pause; gives what waits for a condition."""
    task = asyncio.create_task(owner.run())

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                if task.done():
                    task.result()
                await asyncio.sleep(0)

    try:
        yield until
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def dream(world: World, runs: int) -> None:
    """Put runs that sleep into the changelog, as an earlier owner did."""
    for n in range(runs):
        command = start(n)
        run = RunStarted(command.run_id, FN, 1, command.events, command.event_ids, 5, T0, T0)
        job = JobScheduled(command.run_id, JobId("sleep/z"), "sleep", StepId("z"), T0 + 3_600_000, T0)
        world.log.records += [
            (keys.run_key(command.run_id), CODEC.encode(run)),
            (keys.job_key(command.run_id, job.job_id), CODEC.encode(job)),
        ]
        world.commands.append(command)


async def test_deleted_on_its_way_it_stops() -> None:
    """What was not looked at yet goes on; a cancellation that is asked for anew finishes it."""
    world = World(App(sleeps))
    dream(world, 10 * PORTION)
    owner = world.owner()
    await owner.open()
    again = replace(ALL, id="02C")
    async with living(owner) as until:
        cancel(world, ALL)
        owner.put(FunctionsChanged())
        await until(lambda: any(key.startswith(b"end/") for key, _ in world.log.records))
        world.registry.table.apply(Forgotten("cancellation/01C"), 9)
        await until(lambda: not owner._core._cancellations.under_way)
        assert not all(ended(owner, command) for command in world.commands)
        assert mark(owner) is None
        cancel(world, again)
        owner.put(FunctionsChanged())
        await until(lambda: mark(owner, again) is not None)
    assert all(ended(owner, command) for command in world.commands)


async def test_ten_thousand_runs_hold_up_nobody() -> None:
    """They are cancelled in portions, and a run that starts meanwhile is called between two of them."""
    world = World(App(sleeps))
    dream(world, 10_000)
    owner = world.owner()
    await owner.open()
    world.clock.now = T0 + 10
    late = start(10_000)
    async with living(owner) as until:
        cancel(world, ALL)
        owner.put(FunctionsChanged())
        await until(lambda: len(world.log.records) > 20_000)
        owner.put(CommandArrived(0, late))
        await until(lambda: asleep(owner, late))
        assert mark(owner) is None, "it was called before all of them were cancelled"
        await until(lambda: mark(owner) is not None)
    assert sum(ended(owner, command) for command in world.commands) == 10_000
    assert asleep(owner, late)
