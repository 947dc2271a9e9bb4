"""The partition owner: the crash order, deduplication, timers, purge, fencing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pytest

from penstock.errors import Fenced, Unavailable
from penstock.executor import partition, runstore
from penstock.executor.arrivals import Arrival, CommandArrived, RunFact
from penstock.executor.changelog import Pairs
from penstock.executor.partition import MAX_TIMERS, PartitionOwner
from penstock.executor.timers import first_timer
from penstock.kafka.produce import Outgoing
from penstock.messages.ids import JobId, RunId
from penstock.messages.records import CancelRun, DeadLetter, OffsetApplied
from penstock.messages.topics import DAY_MS, Topics
from penstock.runs.facts import CallAnswered, CancelRequested
from penstock.runs.replies import Reply
from penstock.runs.run import Run
from penstock.runs.turn import Rules
from penstock.state.memory import MemoryStore

from .world import CODEC, FN, T0, App, Died, LogChangelog, World, ended, returned, start, steps, three_steps


def asleep(owner: PartitionOwner, run_id: RunId) -> bool:
    run = owner.load(run_id)
    return run is not None and JobId("sleep/z") in run.jobs


async def test_runs_to_the_end() -> None:
    """Three sequential steps take four calls, and the output is remembered with the status."""
    app = App(three_steps)
    world = World(app)
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    run = world.commands[0].run_id
    await world.run_until(owner, lambda: ended(owner, run))
    final = owner.load(run)
    assert final is not None
    assert final.ended is not None
    assert (final.ended.status, final.ended.output) == ("Completed", '"done"')
    assert len(app.calls) == 4


@pytest.mark.parametrize("moment", ["before commit", "after commit", "after state", "after effects"])
@pytest.mark.parametrize("life", range(1, 6))
async def test_dies_after_each_numbered_step(moment: str, life: int) -> None:
    """Dying at any moment of any turn loses nothing and doubles no result; the next owner finishes the runs."""
    app = App(three_steps)
    world = World(app)
    world.commands = [start("a"), start("b")]
    runs = [command.run_id for command in world.commands]
    changelog = LogChangelog(world.log)
    owner = world.owner(changelog)
    await owner.open()
    await world.deliver(owner)
    turns = 0
    original, perform, apply = owner._turn, owner._perform, owner._state.apply

    async def counted(batch: object) -> None:
        nonlocal turns
        turns += 1
        if turns == life:
            changelog.die = moment
        await original(batch)  # type: ignore[arg-type]
        if turns >= life:
            raise Died

    def after_state(*args: object) -> None:
        apply(*args)  # type: ignore[arg-type]
        if turns >= life and moment == "after state":
            raise Died

    def after_effects(*args: object) -> None:
        perform(*args)  # type: ignore[arg-type]
        if turns >= life and moment == "after effects":
            raise Died

    owner._turn, owner._perform = counted, after_effects  # type: ignore[method-assign, assignment]
    owner._state.apply = after_state  # type: ignore[method-assign]
    with pytest.raises(Died):
        await world.run_until(owner, lambda: False)
    owner._state.apply = apply  # type: ignore[method-assign]
    await owner.close()

    heir = world.owner()
    await heir.open()
    await world.deliver(heir)
    await world.run_until(heir, lambda: ended(heir, *runs))
    for run in runs:
        assert [record.position for record in world.step_records(run)] == [0, 1, 2]
        assert heir.load(run).ended.output == '"done"'  # type: ignore[union-attr]


@pytest.mark.parametrize("lost", [False, True])
async def test_state_is_the_fold_of_the_changelog(lost: bool) -> None:
    """A new owner with or without the old local state holds the same runs, jobs and timers."""
    world = World(App(lambda run, job: steps('{"op":"Sleep","id":"z","name":"1h"}')))
    world.commands = [start(name) for name in "abcdefghij"]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(
        owner, lambda: all((r := owner.load(c.run_id)) and "sleep/z" in r.jobs for c in world.commands)
    )
    before = list(owner._state.scan(b"", b"\xff"))
    await owner.close()
    if lost:
        world.store = MemoryStore()
    heir = world.owner()
    await heir.open()
    assert list(heir._state.scan(b"", b"\xff")) == before
    assert sum(key.startswith(first_timer()) for key, _ in before) == 10


async def test_sleep_survives_its_owner() -> None:
    """A sleep that ends while nobody owns the partition is woken by the next owner."""

    def app(run: Run, job: JobId) -> Reply:
        return returned("1") if run.steps else steps('{"op":"Sleep","id":"z","name":"1h"}')

    world = World(App(app))
    world.commands = [start("a")]
    run = world.commands[0].run_id
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: asleep(owner, run))
    await owner.close()
    world.clock.now += 3_600_000
    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: ended(heir, run))
    assert heir.load(run).steps["z"].output == "null"  # type: ignore[union-attr, index]


async def test_timers_fire_in_a_live_owner() -> None:
    """A short retry and a short sleep come due without a restart; many due timers are taken in portions."""
    world = World(
        App(lambda run, job: returned("1") if run.steps else steps('{"op":"Sleep","id":"z","name":"2001-01-01"}'))
    )
    world.commands = [start(f"{n}") for n in range(1200)]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, *(c.run_id for c in world.commands)))


async def test_the_same_event_id_starts_one_run() -> None:
    """A second event with the same id starts nothing for 24 hours, also after a restart; then it does."""
    world = World(App(three_steps))
    first = start("a", dedupe="order-1")
    world.commands = [first, start("b", dedupe="order-1"), start("c", dedupe="order-2")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, first.run_id, world.commands[2].run_id))
    assert owner.load(world.commands[1].run_id) is None
    assert owner.started_for(FN, "order-1") == first.run_id
    assert owner.started_for(FN, "order-3") is None
    await owner.close()

    world.commands.append(start("d", dedupe="order-1"))
    heir = world.owner()
    await heir.open()
    await world.deliver(heir)
    await world.run_until(heir, lambda: heir.next_command == 4)
    assert heir.load(world.commands[3].run_id) is None

    world.clock.now += DAY_MS + 1
    world.commands.append(start("e", dedupe="order-1"))
    await world.deliver(heir)
    await world.run_until(heir, lambda: ended(heir, world.commands[4].run_id))


async def test_a_redelivered_command_changes_nothing() -> None:
    """Commands may arrive twice, with the same or a new offset."""
    app = App(three_steps)
    world = World(app)
    world.commands = [start("a"), start("a"), start("a", dedupe="x"), start("a", dedupe="x")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, world.commands[0].run_id) and owner.next_command == 4)
    assert len(app.calls) == 4


async def test_an_ended_run_is_purged() -> None:
    """After its retention nothing of a run is left, in state and changelog, and its timers are gone."""
    world = World(App(three_steps), rules=Rules(linear_retry_seconds=0, retention_ms=60_000))
    world.commands = [start("a")]
    run = world.commands[0].run_id
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, run))
    await owner.close()
    world.clock.now += 60_001
    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: heir.load(run) is None)
    assert [key for key, _ in heir._state.scan(b"", b"\xff")] == [b"offset"]
    folded = dict(world.log.records)
    assert [key for key, value in folded.items() if value is not None] == [b"offset"]


async def test_a_zombie_cannot_write() -> None:
    """An owner that was paused while another took over fails at its next commit and calls nobody."""
    app = App(three_steps)
    world = World(app, store=MemoryStore())
    world.commands = [start("a")]
    zombie = world.owner()
    await zombie.open()
    world.store = MemoryStore()
    heir = world.owner()
    await heir.open()
    await world.deliver(zombie)
    with pytest.raises(Fenced):
        await world.run_until(zombie, lambda: False)
    assert world.log.records == []
    assert app.calls == []


async def test_cancel_is_answered_after_the_commit() -> None:
    """Whoever cancels hears of it once it is true; a cancel command for an ended run changes nothing."""
    world = World(App(lambda run, job: steps('{"op":"Sleep","id":"z","name":"1h"}')))
    command = start("a")
    world.commands = [command]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    heard: list[Run | None] = []
    owner.put(RunFact(command.run_id, CancelRequested("a person"), heard.append))
    await world.run_until(owner, lambda: bool(heard))
    assert heard[0] is not None
    assert heard[0].ended is not None
    assert heard[0].ended.status == "Cancelled"
    size = len(world.log.records)
    world.commands.append(CancelRun(command.run_id))  # type: ignore[arg-type]
    await world.deliver(owner)
    await world.run_until(owner, lambda: len(world.log.records) > size)
    assert world.log.records[size:] == [(b"offset", CODEC.encode(OffsetApplied(1)))], "only the applied offset"


async def test_what_cannot_be_taken_is_a_dead_letter_of_the_commit_that_passes_over_it() -> None:
    """One that came as such, and one on which the core fails: the run behind them starts, and each is written once."""
    world = World(App(three_steps))
    owner = world.owner()
    await owner.open()
    letter = DeadLetter("run-steps", 0, 0, T0, None, b"x", "no record of ours", T0)
    poison, good = replace(start("a"), memory="x"), start("b")
    owner.put_all([CommandArrived(n, command) for n, command in enumerate((letter, poison, good))])
    await world.run_until(owner, lambda: ended(owner, good.run_id))
    values = [each.value or b"" for each in world.log.outgoing if each.topic == Topics().dead_letters]
    kept, refused = (CODEC.decode_as(DeadLetter, value) for value in values)
    assert kept == letter
    assert (refused.offset, CODEC.decode(refused.value or b"")) == (1, poison)
    assert owner.next_command == 3


@pytest.mark.parametrize("retention_ms", [0, 40])
async def test_a_live_owner_purges(retention_ms: int) -> None:
    """Also when no other timer of the partition ever comes due."""
    app = App(lambda run, job: returned("1"))
    world = World(app, rules=Rules(retention_ms=retention_ms))
    world.commands = [start("a")]
    run = world.commands[0].run_id
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)

    def purged() -> bool:
        world.clock.now += 1
        return len(app.calls) == 1 and owner.load(run) is None

    await world.run_until(owner, purged)
    assert [key for key, _ in owner._state.scan(b"", b"\xff")] == [b"offset"]


async def test_much_that_is_due_waits_outside_of_the_inbox() -> None:
    """A partition that wakes up with many due timers takes them in portions, and new arrivals are not behind them."""
    world = World(App(lambda run, job: returned("1") if run.steps else steps('{"op":"Sleep","id":"z","name":"1h"}')))
    world.commands = [start(f"{n}") for n in range(3 * MAX_TIMERS)]
    runs = [command.run_id for command in world.commands]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: all(asleep(owner, run) for run in runs))
    await owner.close()
    world.clock.now += 3_600_000
    heir = world.owner()
    await heir.open()
    for _ in range(50):
        await asyncio.sleep(0)
    assert heir.waiting == MAX_TIMERS + 1, "and a look at the functions"
    most = 0

    def all_ended() -> bool:
        nonlocal most
        most = max(most, heir.waiting)
        return ended(heir, *runs)

    await world.run_until(heir, all_ended)
    assert most <= 3 * MAX_TIMERS, "timers, calls and answers of one portion"


async def test_a_clock_that_is_set_back_loses_no_timer() -> None:
    """What was taken from the index as due stays due."""
    app = App(lambda run, job: returned("1") if run.steps else steps('{"op":"Sleep","id":"z","name":"1h"}'))
    world = World(app)
    world.commands = [start("a")]
    run = world.commands[0].run_id
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: asleep(owner, run))
    world.clock.now += 3_600_000
    owner._take_timers()
    world.clock.now -= 1000
    await world.run_until(owner, lambda: ended(owner, run))


async def test_an_offset_that_does_not_come_is_waited_for_once() -> None:
    """Commands that name a functions topic longer than there is do not make every batch wait."""
    world = World(App(three_steps))
    asked: list[int] = []

    async def reached(offset: int, timeout_seconds: float) -> bool:
        asked.append(offset)
        return False

    world.registry.reached = reached  # type: ignore[method-assign]
    world.commands = [replace(start(name), registry_offset=1000 + n) for n, name in enumerate("abc")]
    owner = world.owner()
    await owner.open()
    for n, command in enumerate(world.commands):
        owner.put(CommandArrived(n, command))
        await world.run_until(owner, lambda: ended(owner, command.run_id))  # noqa: B023
    assert asked == [1000]


async def test_a_start_whose_function_cannot_be_read_yet_waits() -> None:
    """The functions topic has it, its leader is away: to start without it would fail the run."""
    world = World(App(three_steps))
    away = [True]

    async def reached(offset: int, timeout_seconds: float) -> bool:
        return not away

    async def end(timeout_seconds: float) -> int:
        return 2000

    world.registry.reached, world.registry.end = reached, end  # type: ignore[method-assign]
    world.commands = [replace(start("a"), registry_offset=1000)]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    with pytest.raises(Unavailable, match="a start needs 1000"):
        await world.run_until(owner, lambda: ended(owner, world.commands[0].run_id))
    await owner.close()
    away.clear()
    heir = world.owner()
    await heir.open()
    await world.deliver(heir)
    await world.run_until(heir, lambda: ended(heir, world.commands[0].run_id))
    await heir.close()


async def test_a_changelog_that_does_not_close_leaves_the_state_closed() -> None:
    """Else the partition could not be opened again."""
    world = World(App(three_steps))
    changelog = LogChangelog(world.log)
    owner = world.owner(changelog)
    await owner.open()

    def close() -> None:
        raise RuntimeError("no")

    changelog.close = close  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no"):
        await owner.close()
    await world.owner().open()


async def test_a_state_ahead_of_its_changelog_is_rebuilt() -> None:
    """A changelog that is shorter than what was folded from it is another one, or has lost its end."""
    world = World(App(three_steps))
    world.commands = [start("a"), start("b")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, *(command.run_id for command in world.commands)))
    await owner.close()
    world.log.records.clear()
    heir = world.owner()
    await heir.open()
    assert list(heir._state.scan(b"", b"\xff")) == []
    assert heir.next_command == 0


async def test_a_state_of_another_topic_is_rebuilt() -> None:
    """One that was made anew under the same name, and is longer by now than what the state has folded."""
    world = World(App(three_steps))
    world.log.topic_id = "first"
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, world.commands[0].run_id))
    await owner.close()
    longer = len(world.log.records) + 5
    world.log.records[:] = [(b"offset", CODEC.encode(OffsetApplied(7)))] * longer
    world.log.topic_id = "second"
    for _ in range(2):
        heir = world.owner()
        await heir.open()
        assert [key for key, _ in heir._state.scan(b"\x01", b"\xff")] == [b"offset"]
        assert heir.next_command == 8
        await heir.close()


@pytest.mark.parametrize(
    ("first", "second", "lost"),
    [("one", "two", False), ("one", "one", True), ("", "two", True), ("one", "", True)],
    ids=["made anew", "the same", "not known before", "not told any more"],
)
async def test_commands_of_a_topic_made_anew_are_all_taken(first: str, second: str, lost: bool) -> None:
    """Their offsets begin again, below those that the state has applied of the earlier topic."""
    world = World(App(three_steps))
    world.log.commands_topic_id = first
    world.commands = [start(name) for name in "abc"]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, *(command.run_id for command in world.commands)))
    await owner.close()
    world.log.commands_topic_id = second
    world.commands = [start("d")]
    heir = world.owner()
    await heir.open()
    assert heir.next_command == (3 if lost else 0)
    if not lost:
        await world.deliver(heir)
        await world.run_until(heir, lambda: ended(heir, world.commands[0].run_id))
    await heir.close()


async def test_where_no_ids_are_told_a_state_is_kept() -> None:
    """A cluster that does not tell them any more, or not yet, is no reason to read everything again."""
    world = World(App(three_steps))
    world.commands = [start("a")]
    for topic_id in ("", "first", ""):
        world.log.topic_id = topic_id
        owner = world.owner()
        await owner.open()
        await world.deliver(owner)
        await world.run_until(owner, partial(ended, owner, world.commands[0].run_id))
        await owner.close()
        kept, world.log.records[:] = list(world.log.records), [(b"offset", b"never read")] * len(world.log.records)
        heir = world.owner()
        await heir.open()
        assert ended(heir, world.commands[0].run_id)
        await heir.close()
        world.log.records[:] = kept


async def test_a_restoration_can_be_given_up() -> None:
    """A changelog that does not come to its end, with Kafka away, does not keep the process from stopping."""
    world = World(App(three_steps))
    changelog = LogChangelog(world.log)
    began = threading.Event()

    def read(after: int, end: int) -> Iterator[tuple[Pairs, int]]:
        while True:
            began.set()
            time.sleep(0.001)
            yield [], after

    changelog.read = read  # type: ignore[method-assign]
    owner = world.owner(changelog)
    opening = asyncio.create_task(owner.open())
    await asyncio.to_thread(began.wait)
    opening.cancel()
    async with asyncio.timeout(5):
        await owner.close()
    await world.owner().open()


async def test_a_commit_is_bounded_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large answers that arrive together are spread over commits; one that is larger than the bound is taken alone."""
    monkeypatch.setattr(partition, "MAX_BATCH_CHARACTERS", 100)
    large = "x" * 120
    world = World(App(lambda run, job: returned(f'"{large}"')))
    world.commands = [start(name) for name in "abcdef"]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, *(command.run_id for command in world.commands)))
    owner.put_all([RunFact(c.run_id, CallAnswered(JobId("x"), 0, returned(f'"{large}"'))) for c in world.commands])
    sizes = [len(owner._next_batch()) for _ in range(6)]
    assert sizes == [1] * 6
    assert owner._next_batch() == []


async def test_an_answer_that_kafka_would_not_take_fails_its_run_alone() -> None:
    """A record that is too large is made again each time: the partition would be opened anew for ever."""
    small, large = start("small"), start("large")

    def answer(run: Run, job_id: JobId) -> Reply:
        return returned(f'"{"я" * (6 * 1024 * 1024)}"') if run.id == large.run_id else three_steps(run, job_id)

    world = World(App(answer))
    world.commands = [small, large]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, small.run_id, large.run_id))
    ends = {run_id: owner.load(run_id) for run_id in (small.run_id, large.run_id)}
    assert [run.ended.status for run in ends.values() if run is not None and run.ended is not None] == [
        "Completed",
        "Failed",
    ]
    await owner.close()


async def test_what_one_commit_has_no_room_for_comes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order: a purge of many runs at once writes more tombstones than a transaction has time for."""
    monkeypatch.setattr(runstore, "MAX_RECORDS", 6)
    world = World(App(three_steps))
    world.commands = [start(name) for name in "abcdefgh"]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    commits: list[int] = []
    commit = owner._changelog.commit

    def counted(records: Mapping[bytes, bytes | None], outgoing: Sequence[Outgoing]) -> int:
        commits.append(len(records))
        return commit(records, outgoing)

    monkeypatch.setattr(owner._changelog, "commit", counted)
    await world.run_until(owner, lambda: ended(owner, *(command.run_id for command in world.commands)))
    assert max(commits) < 12
    assert owner.next_command == 8
    assert (owner.waiting, owner.waiting_size) == (0, 0)
    await owner.close()


async def test_after_a_failure_commits_begin_small_and_grow() -> None:
    """What was too much for one commit is not tried again as a whole."""
    world = World(App(three_steps))
    world.commands = [start(str(n)) for n in range(20)]
    owner = world.owner()
    owner.begin_with(1)
    await owner.open()
    await world.deliver(owner)
    sizes: list[int] = []
    turn = owner._turn

    async def counted(batch: Sequence[Arrival]) -> None:
        sizes.append(len(batch))
        await turn(batch)

    owner._turn = counted  # type: ignore[method-assign]
    await world.run_until(owner, lambda: ended(owner, *(command.run_id for command in world.commands)))
    assert sizes[:5] == [1, 1, 2, 4, 8], "the first finds nothing to commit"
    await owner.close()


async def test_a_call_under_way_is_made_again_by_an_owner_whose_clock_is_behind() -> None:
    """It was due then already; nobody would look for it again."""
    app = App(three_steps)
    world = World(app)
    world.commands = [start("a")]
    app.dead = True
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: owner.load(world.commands[0].run_id) is not None)
    await owner.close()
    app.dead = False
    world.clock.now -= 500
    heir = world.owner()
    await heir.open()
    await world.run_until(heir, lambda: ended(heir, world.commands[0].run_id))
    await heir.close()


async def test_an_offset_of_a_later_release_opens_no_partition() -> None:
    """To begin with the first command would start again what was purged long ago; other poison counts as nothing."""
    world = World(App(three_steps))
    world.log.records[:] = [(b"offset", b"\xc3\x01" + 8 * b"\x07" + b"\x0e")]
    owner = world.owner()
    with pytest.raises(Unavailable, match="later release"):
        await owner.open()
    await owner.close()
    world = World(App(three_steps))
    world.log.records[:] = [(b"offset", b"poison")]
    heir = world.owner()
    await heir.open()
    assert heir.next_command == 0
    await heir.close()


async def test_an_index_that_cannot_be_read_ends_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timers would rest for ever; opened anew, the partition looks for them again."""
    world = World(App(lambda run, job_id: steps('{"op":"Sleep","id":"z","name":"10ms"}')))
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: asleep(owner, world.commands[0].run_id))

    def broken(start: bytes, end: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        raise Unavailable("too many open files")

    monkeypatch.setattr(owner._state, "scan", broken)
    world.clock.now += 1000
    with pytest.raises(Unavailable, match="too many open files"):
        await world.run_until(owner, lambda: False)
    await owner.close()


async def test_a_state_folded_from_a_commit_that_was_not_kept_is_rebuilt() -> None:
    """A broker that died may have confirmed a commit and not kept it: the run then goes on from the changelog."""
    app = App(three_steps)
    world = World(app)
    world.commands = [start("a")]
    owner = world.owner()
    await owner.open()
    await world.deliver(owner)
    await world.run_until(owner, lambda: ended(owner, world.commands[0].run_id))
    await owner.close()
    place = next(n for n, (key, _) in enumerate(world.log.records) if key.startswith(b"end/"))
    world.log.aborted = set(range(place - 1, len(world.log.records)))
    heir = world.owner()
    await heir.open()
    assert not ended(heir, world.commands[0].run_id)
    await world.run_until(heir, lambda: ended(heir, world.commands[0].run_id))
    assert len(app.calls) == 5, "the last one was made again"
    await heir.close()
