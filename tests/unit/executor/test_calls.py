"""The queue of calls: every call ends at its owner, and nothing of an owner that is gone takes up room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.executor.call import FunctionCall
from penstock.executor.calls import CallQueue
from penstock.messages.ids import JobId, RunId
from penstock.runs.gateway import OutboundRequest
from penstock.runs.outcomes import Outcome
from penstock.runs.replies import Reply

from .world import World, ended, returned, start, steps


class Caller:
    """Answers at once, hangs, or breaks."""

    def __init__(self, answer: Callable[[FunctionCall], Reply | None]) -> None:
        self._answer = answer
        self.calls: list[str] = []
        self.abandoned = 0

    async def call(self, request: FunctionCall) -> Reply:
        self.calls.append(request.headers["x-run-id"])
        try:
            answer = self._answer(request)
            return answer if answer is not None else await asyncio.Future()
        except asyncio.CancelledError:
            self.abandoned += 1
            raise

    async def close(self) -> None:
        pass


class NoRequests:
    """Nothing here makes requests to other people's servers."""

    async def send(self, request: OutboundRequest) -> Outcome:
        raise AssertionError(request)

    async def close(self) -> None:
        pass


def queue(world: World, caller: Caller, most: int, new_id: Callable[[], str] = lambda: "id") -> CallQueue:
    calls = CallQueue(caller, NoRequests(), world.registry.table, most, new_id)
    world.app = calls  # type: ignore[assignment]
    return calls


async def test_a_request_that_cannot_be_made_fails_its_run() -> None:
    """It is an answer like any other, not a run that waits for ever."""

    def broken() -> str:
        raise ValueError("no id today")

    world = World(None, retries=0)  # type: ignore[arg-type]
    queue(world, Caller(lambda _: returned("1")), 1, broken)
    world.commands = [start("a"), start("b")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    first, second = (command.run_id for command in world.commands)
    await world.run_until(owner, lambda: ended(owner, first, second))
    run = owner.load(first)
    assert run is not None
    assert run.ended is not None
    assert run.ended.status == "Failed"
    assert "no id today" in run.ended.output


async def test_a_call_that_breaks_is_made_again() -> None:
    """A caller that raises, against its promise, costs another call, and neither the run nor its place in line."""
    broken = [True]

    def answer(_: FunctionCall) -> Reply:
        if broken.pop() if broken else False:
            raise RuntimeError("broken")
        return returned("1")

    world = World(None)  # type: ignore[arg-type]
    caller = Caller(answer)
    queue(world, caller, 1)
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, world.commands[0].run_id))
    assert len(caller.calls) == 2


async def test_calls_of_an_owner_that_is_gone_make_room() -> None:
    """A partition that is opened anew calls at once, though an app hangs on every call of its last owner."""
    hang = [True]
    world = World(None)  # type: ignore[arg-type]
    caller = Caller(lambda _: None if hang else returned("1"))
    calls = queue(world, caller, 2)
    world.commands = [start(name) for name in "abcd"]
    runs = [command.run_id for command in world.commands]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: len(caller.calls) == 2)
    calls.call(owner, RunId("unknown"), JobId("never"))  # a task that is cancelled before it begins
    await owner.close()
    hang.clear()

    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: ended(heir, *runs))
    assert caller.abandoned == 2
    assert calls._apps == {}
    assert calls._tasks == {}
    assert list(calls._outstanding) == [heir]
    await heir.close()
    assert not calls._outstanding


async def test_an_owner_at_rest_has_its_answers_committed_and_makes_no_further_call() -> None:
    """A partition that is handed over loses no answer, so that no call is made twice; what follows is the heir's."""
    answered = asyncio.Event()

    class Slow(Caller):
        async def call(self, request: FunctionCall) -> Reply:
            self.calls.append(request.headers["x-run-id"])
            await answered.wait()
            return steps('{"op":"StepRun","id":"s0","data":0}') if len(self.calls) == 1 else returned("1")

    world = World(None)  # type: ignore[arg-type]
    caller = Slow(lambda _: None)
    calls = queue(world, caller, 1)
    world.commands = [start("a"), start("b")]
    first, second = (command.run_id for command in world.commands)
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    running = asyncio.create_task(owner.run())
    await until(lambda: caller.calls == [first])
    resting = asyncio.create_task(owner.come_to_rest())
    await until(lambda: not calls._apps["app"].line)
    assert not resting.done()
    answered.set()
    async with asyncio.timeout(5):
        await resting
    running.cancel()
    await owner.close()
    assert caller.calls == [first]
    assert len(world.step_records(first)) == 1

    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: ended(heir, first, second))
    assert sorted(caller.calls) == sorted([first, first, second])
    await heir.close()
    assert not calls._held


async def test_only_calls_that_take_long_are_waited_for_while_others_are_made() -> None:
    """A call that began a moment ago does not keep a partition from coming to rest later."""
    world = World(None)  # type: ignore[arg-type]
    calls = queue(world, Caller(lambda _: None), 1)
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: bool(calls._tasks))
    async with asyncio.timeout(5):
        await calls.ended(owner, older_than=60.0)
        await calls.ended(world.owner, older_than=0.0)  # type: ignore[arg-type]
    waiting = asyncio.create_task(calls.ended(None, older_than=0.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    await owner.close()
    async with asyncio.timeout(5):
        await waiting


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the owner has to go on
            await asyncio.sleep(0)
