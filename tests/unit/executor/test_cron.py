"""Cron triggers of a partition: scheduled, fired once whatever dies, made up for, and in line with the functions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from penstock.executor.arrivals import FunctionsChanged, RunFact
from penstock.executor.cron import rfc3339
from penstock.executor.partition import PartitionOwner
from penstock.executor.timers import timer_key
from penstock.functions.config import CronTrigger, FunctionConfig
from penstock.functions.cron import jitter_ms
from penstock.messages import keys
from penstock.messages.ids import FunctionKey, RunId, run_id
from penstock.messages.records import CronScheduled, Event, Function, StartRun
from penstock.runs.facts import CancelRequested
from penstock.runs.run import Run
from penstock.state.memory import MemoryStore

from .world import CODEC, FN, App, Died, LogChangelog, World, three_steps

CRON = "*/5 * * * *"
MINUTE = 60_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOON = ms("2026-01-01T12:00Z")


def register(
    world: World, *triggers: CronTrigger, at: int = NOON, key: FunctionKey = FN, archived: bool = False
) -> None:
    """What a sync puts on the functions topic; whoever owns a partition is told separately."""
    table = world.registry.table
    before = table.record(key)
    config = FunctionConfig(key, "app", "app-fn", "fn", "http://app", triggers)
    version = before.version + 1 if before is not None else 1
    table.apply(Function(key, "app", "app-fn", "fn", version, config.to_json(), at, archived), table.offset + 1)


def world_with(*triggers: CronTrigger, now: int = NOON) -> World:
    world = World(App(three_steps))
    world.clock.now = now
    register(world, *triggers, at=now)
    return world


def sent(world: World) -> list[Any]:
    return [CODEC.decode(each.value) for each in world.log.outgoing if each.value is not None]


def starts(world: World) -> list[StartRun]:
    return [each for each in sent(world) if isinstance(each, StartRun)]


def fired(world: World) -> list[str]:
    """Scheduled times of the runs that were started, in order."""
    return [json.loads(each.events[0])["data"]["scheduledAt"] for each in starts(world)]


def scheduled(owner: PartitionOwner, cron: str = CRON, key: FunctionKey = FN) -> CronScheduled | None:
    value = owner._state.get(keys.cron_key(key, cron))
    return None if value is None else CODEC.decode_as(CronScheduled, value)


async def opened(world: World, changelog: LogChangelog | None = None) -> PartitionOwner:
    owner = world.owner(changelog)
    await owner.open()
    return owner


async def advance_to(world: World, owner: PartitionOwner, now: int) -> None:
    """Let the clock go on, as the event loop's timer would, until nothing is due or waits any more."""
    world.clock.now = now
    owner._take_timers()
    heard: list[Run | None] = []

    def ask() -> None:
        heard.clear()
        owner.put(RunFact(RunId("0" * 26), CancelRequested("nobody"), heard.append))

    def quiet() -> bool:
        if heard and list(owner._state.scan(timer_key(1, b""), timer_key(now + 1, b""), 1)):
            ask()
        return bool(heard)

    ask()
    await world.run_until(owner, quiet)


async def settle(world: World, owner: PartitionOwner) -> None:
    await advance_to(world, owner, world.clock.now)


async def test_a_new_trigger_first_fires_behind_its_registration() -> None:
    """Not at once, although its schedule's last time is just over."""
    world = world_with(CronTrigger(CRON), now=NOON + MINUTE)
    owner = await opened(world)
    await settle(world, owner)
    assert scheduled(owner) == CronScheduled(FN, CRON, NOON + 5 * MINUTE, NOON + 5 * MINUTE)
    assert sent(world) == []


async def test_a_firing_starts_a_run_and_schedules_the_next() -> None:
    """Run, event and next firing are in one commit; ids are derived from function, schedule and scheduled time."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    await advance_to(world, owner, NOON + 5 * MINUTE + 7)
    event, start = sent(world)
    assert isinstance(event, Event)
    assert isinstance(start, StartRun)
    assert (event.name, event.id, event.ts) == ("inngest/scheduled.timer", "2026-01-01T12:05:00Z", NOON + 5 * MINUTE)
    assert json.loads(event.data) == {
        "cron": CRON,
        "scheduledAt": "2026-01-01T12:05:00Z",
        "fireAt": "2026-01-01T12:05:00Z",
    }
    assert start.run_id == run_id(FN, f"cron/{CRON}/2026-01-01T12:05:00Z", NOON + 5 * MINUTE)
    assert (start.function, start.cron, start.dedupe_key) == (FN, CRON, None)
    assert start.event_ids == (event.internal_id,)
    assert json.loads(start.events[0]) == {
        "id": event.id,
        "name": event.name,
        "data": json.loads(event.data),
        "user": {},
        "ts": event.ts,
    }
    assert scheduled(owner) == CronScheduled(FN, CRON, NOON + 10 * MINUTE, NOON + 10 * MINUTE)
    assert [o.topic for o in world.log.outgoing] == ["penstock.internal-events", "penstock.run-steps"]


@pytest.mark.parametrize("moment", ["before commit", "after commit", "after state", "after effects"])
@pytest.mark.parametrize("life", range(1, 5))
@pytest.mark.parametrize("lost", [False, True])
async def test_dies_after_each_numbered_step(moment: str, life: int, lost: bool) -> None:
    """Dying at any moment of any turn, with or without the local state, fires none twice and skips none."""
    world = world_with(CronTrigger(CRON))
    changelog = LogChangelog(world.log)
    owner = await opened(world, changelog)
    turns = 0
    turn, perform, apply = owner._turn, owner._perform, owner._state.apply

    async def counted(batch: object) -> None:
        nonlocal turns
        turns += 1
        if turns == life:
            changelog.die = moment
        await turn(batch)  # type: ignore[arg-type]
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

    async def live() -> None:
        for n in range(life + 1):
            await advance_to(world, owner, NOON + n * 5 * MINUTE)

    with pytest.raises(Died):
        await live()
    owner._state.apply = apply  # type: ignore[method-assign]
    await owner.close()
    if lost:
        world.store = MemoryStore()
    heir = await opened(world)
    await settle(world, heir)
    while world.clock.now < NOON + 30 * MINUTE:
        await advance_to(world, heir, world.clock.now + 5 * MINUTE)
    expected = [rfc3339(NOON + n * 5 * MINUTE) for n in range(1, 7)]
    assert fired(world) == expected
    assert len({start.run_id for start in starts(world)}) == 6


async def test_a_fenced_owner_fires_nothing() -> None:
    """An owner that sleeps through a take-over and wakes up at the scheduled time is refused."""
    world = world_with(CronTrigger(CRON))
    zombie = await opened(world)
    await settle(world, zombie)
    world.store = MemoryStore()
    heir = await opened(world)
    with pytest.raises(Exception, match="taken over"):
        await advance_to(world, zombie, NOON + 5 * MINUTE)
    assert fired(world) == []
    await advance_to(world, heir, NOON + 5 * MINUTE)
    assert fired(world) == ["2026-01-01T12:05:00Z"]


async def test_of_missed_firings_the_latest_is_made_up_for(caplog: pytest.LogCaptureFixture) -> None:
    """After nobody was there for an hour: one run, for the latest time, and a line about the others."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    await owner.close()
    world.clock.now = NOON + 62 * MINUTE
    heir = await opened(world)
    await settle(world, heir)
    assert fired(world) == ["2026-01-01T13:00:00Z"]
    assert "from 2026-01-01T12:05:00Z up to that of 2026-01-01T13:00:00Z were missed" in caplog.text
    assert scheduled(heir) == CronScheduled(FN, CRON, NOON + 65 * MINUTE, NOON + 65 * MINUTE)


async def test_years_of_missed_firings_cost_one_run() -> None:
    """A schedule of every minute, left alone for six years, does not hold up its partition."""
    world = world_with(CronTrigger("* * * * *"), now=ms("2020-01-01T00:00Z"))
    owner = await opened(world)
    await settle(world, owner)
    await advance_to(world, owner, NOON)
    assert fired(world) == ["2026-01-01T12:00:00Z"]


async def test_jitter_delays_and_never_skips() -> None:
    """Each firing comes at its derived moment, also when jitter is longer than the time between two."""
    world = world_with(CronTrigger("* * * * *", "5m"))
    owner = await opened(world)
    await settle(world, owner)
    while world.clock.now < NOON + 30 * MINUTE:
        await advance_to(world, owner, world.clock.now + 1000)
    times = fired(world)
    assert times == [rfc3339(NOON + n * MINUTE) for n in range(1, len(times) + 1)]
    assert len(times) >= 25
    for start in starts(world):
        data = json.loads(start.events[0])["data"]
        at = ms(data["scheduledAt"])
        due_at = at + jitter_ms(FN, "* * * * *", at, "5m")
        assert data["fireAt"] == rfc3339(due_at)
        assert due_at <= start.received_at <= at + 5 * MINUTE + 1000


@pytest.mark.parametrize("how", ["archived", "without the trigger", "another schedule"])
async def test_a_trigger_that_is_gone_fires_no_more(how: str) -> None:
    """Whether the function is archived or changed, its firing is removed with its timer, from state and changelog."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    triggers = (CronTrigger("0 0 * * *"),) if how == "another schedule" else ()
    register(world, *triggers, at=NOON + MINUTE, archived=how == "archived")
    owner.put(FunctionsChanged())
    await settle(world, owner)
    assert scheduled(owner) is None
    assert dict(world.log.records)[keys.cron_key(FN, CRON)] is None
    await advance_to(world, owner, NOON + 20 * MINUTE)
    assert fired(world) == []
    assert (scheduled(owner, "0 0 * * *") is not None) == (how == "another schedule")


async def test_a_trigger_that_is_gone_when_it_is_due_fires_no_more() -> None:
    """Also when the timer comes before word of the change."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    register(world, archived=True)
    await advance_to(world, owner, NOON + 5 * MINUTE)
    assert fired(world) == []
    assert scheduled(owner) is None


async def test_registering_again_changes_nothing_that_is_scheduled() -> None:
    """A new version of the function neither skips the next firing nor repeats the last one."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    await advance_to(world, owner, NOON + 5 * MINUTE)
    size = len(world.log.records)
    register(world, CronTrigger(CRON), at=NOON + 4 * MINUTE)
    owner.put(FunctionsChanged())
    await settle(world, owner)
    assert len(world.log.records) == size
    await advance_to(world, owner, NOON + 10 * MINUTE)
    assert fired(world) == ["2026-01-01T12:05:00Z", "2026-01-01T12:10:00Z"]


async def test_a_new_jitter_moves_the_next_firing() -> None:
    """The scheduled time stays, and so does the run's id."""
    world = world_with(CronTrigger(CRON))
    owner = await opened(world)
    await settle(world, owner)
    register(world, CronTrigger(CRON, "1m"), at=NOON + MINUTE)
    owner.put(FunctionsChanged())
    await settle(world, owner)
    at = NOON + 5 * MINUTE
    due_at = at + jitter_ms(FN, CRON, at, "1m")
    assert scheduled(owner) == CronScheduled(FN, CRON, at, due_at)
    await advance_to(world, owner, at)
    assert fired(world) == []
    await advance_to(world, owner, due_at)
    assert fired(world) == ["2026-01-01T12:05:00Z"]


async def test_triggers_fire_independently() -> None:
    """One function with two schedules, and two functions with the same one, each have runs of their own."""
    world = world_with(CronTrigger(CRON), CronTrigger("*/10 * * * *"))
    other = FunctionKey("app/other/with/slashes")
    register(world, CronTrigger(CRON), key=other)
    owner = await opened(world)
    await settle(world, owner)
    await advance_to(world, owner, NOON + 5 * MINUTE)
    await advance_to(world, owner, NOON + 10 * MINUTE)
    assert len(starts(world)) == 5
    assert len({start.run_id for start in starts(world)}) == 5
    assert sorted({(start.function, start.cron) for start in starts(world)}) == [
        (FN, "*/10 * * * *"),
        (FN, CRON),
        (other, CRON),
    ]


async def test_time_zones_hold_over_a_change_of_the_clock() -> None:
    """Nine o'clock in New York, before and after."""
    cron = "TZ=America/New_York 0 9 * * *"
    world = world_with(CronTrigger(cron), now=ms("2026-03-07T00:00Z"))
    owner = await opened(world)
    await settle(world, owner)
    for day in (7, 8, 9):
        await advance_to(world, owner, ms(f"2026-03-{day:02}T20:00Z"))
    assert fired(world) == ["2026-03-07T14:00:00Z", "2026-03-08T13:00:00Z", "2026-03-09T13:00:00Z"]


async def test_what_is_scheduled_is_what_the_changelog_says() -> None:
    """State and timers after a rebuild equal those that were kept live."""
    world = world_with(CronTrigger(CRON), CronTrigger("0 0 * * *", "30s"))
    owner = await opened(world)
    await settle(world, owner)
    await advance_to(world, owner, NOON + 5 * MINUTE)
    before = list(owner._state.scan(b"", b"\xff"))
    await owner.close()
    world.store = MemoryStore()
    heir = await opened(world)
    assert list(heir._state.scan(b"", b"\xff")) == before


def test_times_are_written_as_the_protocol_says() -> None:
    """RFC 3339 in UTC, with milliseconds only where there are any."""
    assert rfc3339(NOON) == "2026-01-01T12:00:00Z"
    assert rfc3339(NOON + 1234) == "2026-01-01T12:00:01.234Z"
