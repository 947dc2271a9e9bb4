"""The owner of a signal: who waits for it, and who is told."""

from __future__ import annotations

from penstock.executor import signals
from penstock.executor.arrivals import CommandArrived, SignalSent
from penstock.executor.runstore import Draft, RunStore
from penstock.messages.ids import JobId, RunId
from penstock.messages.records import ClaimSignal, ReleaseSignal, SignalAnswered, SignalClaimed
from penstock.runs.run import Run

from .world import CODEC, T0, App, LogChangelog, World, ended, start, steps

A, B = RunId("01J0000000000000000000000A"), RunId("01J0000000000000000000000B")
JOB = JobId("signal/s")


def draft(world: World) -> Draft:
    return RunStore(world.store.open(0), CODEC, 10).draft()


def claim(run: RunId, *, replace: bool = False, expires_at: int = T0 + 1000, job: JobId = JOB) -> ClaimSignal:
    return ClaimSignal("go", run, job, replace, expires_at)


def held(run: RunId) -> SignalClaimed:
    return SignalClaimed("go", run, JOB, T0 + 1000)


def test_one_run_waits_and_is_told() -> None:
    """Once: the second sender is told that nobody waits."""
    d = draft(World(App(lambda run, job: steps())))
    signals.claim(claim(A), d, T0)
    assert signals.send("go", '{"a":1}', d, T0) == held(A)
    assert d.messages == [SignalAnswered("go", A, JOB, "sent", '{"a":1}')]
    assert signals.send("go", "1", d, T0) is None


def test_nobody_waits() -> None:
    """Not before a claim, not for another signal, not after the release, not after its time."""
    d = draft(World(App(lambda run, job: steps())))
    assert signals.send("go", "1", d, T0) is None
    signals.claim(claim(A), d, T0)
    assert signals.send("come", "1", d, T0) is None
    assert signals.send("go", "1", d, T0 + 1000) is None
    signals.release(ReleaseSignal("go", A, JOB), d, T0)
    assert signals.send("go", "1", d, T0) is None
    assert not d.messages


def test_a_second_run_is_refused() -> None:
    """It is told who was there first; the first goes on waiting."""
    d = draft(World(App(lambda run, job: steps())))
    signals.claim(claim(A), d, T0)
    signals.claim(claim(B), d, T0)
    assert d.messages == [SignalAnswered("go", B, JOB, "refused", other_run=A)]
    assert signals.send("go", "1", d, T0) == held(A)


def test_a_second_run_may_take_over() -> None:
    """The first is told, and its release, which comes later, changes nothing."""
    d = draft(World(App(lambda run, job: steps())))
    signals.claim(claim(A), d, T0)
    signals.claim(claim(B, replace=True), d, T0)
    assert d.messages == [SignalAnswered("go", A, JOB, "replaced", other_run=B)]
    signals.release(ReleaseSignal("go", A, JOB), d, T0)
    assert signals.send("go", "1", d, T0) == held(B)


def test_the_same_claim_may_arrive_twice() -> None:
    """It is neither refused nor told of itself; another wait of the same run is another wait."""
    d = draft(World(App(lambda run, job: steps())))
    signals.claim(claim(A), d, T0)
    signals.claim(claim(A), d, T0)
    assert not d.messages
    signals.claim(claim(A, job=JobId("signal/t")), d, T0)
    assert d.messages == [SignalAnswered("go", A, JobId("signal/t"), "refused", other_run=A)]


async def test_a_claim_ends_by_itself_and_survives_restarts() -> None:
    """It lies in the owner's state until its time; then nothing of it is left."""
    world = World(App(lambda run, job: steps()))
    world.commands = [claim(A)]  # type: ignore[list-item]
    first = world.owner()
    await first.open()
    await world.deliver(first)
    await world.run_until(first, lambda: first._state.get(b"signal/go") is not None)
    await first.close()
    told: list[SignalClaimed | None] = []
    second = world.owner()
    await second.open()
    second.put(SignalSent("go", "1", told.append))
    await world.run_until(second, lambda: bool(told))
    assert told == [held(A)]
    assert world.log.outgoing, "the run's owner is told in the same commit"
    second.put(SignalSent("go", "1", told.append))
    await world.run_until(second, lambda: len(told) == 2)
    assert told == [held(A), None]


async def test_an_unclaimed_signal_writes_nothing() -> None:
    """Asking who waits costs no commit."""
    world = World(App(lambda run, job: steps()))
    owner = world.owner()
    await owner.open()
    told: list[SignalClaimed | None] = []
    owner.put(SignalSent("go", "1", told.append))
    await world.run_until(owner, lambda: bool(told))
    assert (told, world.log.records) == ([None], [])


async def test_a_run_waits_and_gets_the_signal() -> None:
    """From the op to the result: the claim goes out with the wait, the answer resumes the run."""

    def function(run: Run, job: JobId) -> object:
        if not run.steps:
            return steps('{"op":"WaitForSignal","id":"s","opts":{"signal":"go","timeout":"1h"}}')
        return steps(f'{{"op":"RunComplete","id":"x","data":{next(iter(run.steps.values())).output}}}')

    world = World(App(function))  # type: ignore[arg-type]
    world.commands = [start("a")]
    changelog = LogChangelog(world.log)
    owner = world.owner(changelog)
    await owner.open()
    await world.deliver(owner)
    run_id = world.commands[0].run_id
    await world.run_until(owner, lambda: (run := owner.load(run_id)) is not None and "signal/s" in run.jobs)
    (command,) = [CODEC.decode(each.value or b"") for each in world.log.outgoing]
    assert isinstance(command, ClaimSignal)
    owner.put(CommandArrived(1, command))
    told: list[SignalClaimed | None] = []
    owner.put(SignalSent("go", '{"ok":true}', told.append))
    await world.run_until(owner, lambda: bool(told))
    answer = CODEC.decode(world.log.outgoing[-1].value or b"")
    owner.put(CommandArrived(2, answer))
    await world.run_until(owner, lambda: ended(owner, run_id))
    run = owner.load(run_id)
    assert run is not None
    assert run.ended is not None
    assert run.ended.output == '{"data":{"signal":"go","data":{"ok":true}}}'
