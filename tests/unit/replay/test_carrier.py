"""A replay carried out: what it starts, what it records, and what it repeats after it was cut off."""

from __future__ import annotations

import asyncio

import pytest

from penstock.messages.records import ReplayControl
from penstock.replay import carrier
from penstock.replay.carrier import Carrier

from .doubles import CODEC, NOW, Held, MemoryReplays, Message, Steps, Topic, event, orders, ports, replay, table


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is recorded, and nothing waits for an error to pass."""
    monkeypatch.setattr(carrier, "RECORD_SECONDS", 0.0)
    monkeypatch.setattr(carrier, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(carrier, "REGISTRY_SECONDS", 0.0)


async def carried(replays: MemoryReplays, topic: Topic, steps: Steps, held: Held | None = None) -> None:
    state = replays.state(replay().id)
    assert state is not None
    await asyncio.wait_for(Carrier(state, ports(topic, steps, replays, held=held)).run(), 20)


async def asked(**fields: object) -> MemoryReplays:
    replays = MemoryReplays()
    await replays.write(replay(ends={"events/0": 100}, **fields))
    return replays


async def test_every_event_gets_its_run_and_is_counted() -> None:
    """All that match are started once, by day; what is no event is counted and passed over."""
    topic, steps, replays = orders(99), Steps(), await asked()
    topic.messages.append(Message(99, b"no event"))
    await carried(replays, topic, steps)
    done = replays.progress()
    assert (done.status, done.matched, done.started, done.undecodable) == ("Completed", 99, 99, 1)
    assert done.positions == {"events/0": 100}
    assert dict(done.by_day) == {"2026-09-21": 99}
    assert len({command.run_id for command in steps.sent}) == 99


async def test_after_a_death_only_what_was_not_recorded_is_repeated() -> None:
    """Dying after a send repeats the same commands with the same ids; what was recorded is not read again."""
    topic, steps, replays = orders(100), Steps(), await asked(rate=100.0)

    class Died(BaseException):
        pass

    def die() -> None:
        if len(steps.sent) >= 40:
            steps.on_send = None
            raise Died

    steps.on_send = die
    with pytest.raises(Died):
        await carried(replays, topic, steps)
    recorded = replays.progress()
    assert (recorded.status, recorded.started) == ("Running", 30)
    state = replays.state(replay().id)
    assert state is not None
    await replays.write(ReplayControl(replay().id, "run", NOW, 10_000.0))
    await carried(replays, topic, steps)
    assert topic.reads == [0, 30]
    assert len(steps.sent) == 110
    assert len({command.run_id for command in steps.sent}) == 100
    assert replays.progress().started == 100


async def test_kafka_away_is_waited_for() -> None:
    """A send that fails is made again, from the last portion that was acknowledged."""
    topic, steps, replays = orders(100), Steps(fail_after=50), await asked(rate=100.0)
    await replays.write(ReplayControl(replay().id, "run", NOW, 10_000.0))
    await carried(replays, topic, steps)
    assert replays.progress().status == "Completed"
    assert len({command.run_id for command in steps.sent}) == 100


async def test_a_pause_stops_between_portions_and_records_where() -> None:
    """What was started is recorded, so that going on repeats nothing."""
    topic, steps, replays = orders(100), Steps(), await asked(rate=100.0)

    def pause() -> None:
        replays.table.apply(ReplayControl(replay().id, "pause", NOW))

    steps.on_send = pause
    await carried(replays, topic, steps)
    assert (replays.progress().started, replays.progress().positions) == (10, {"events/0": 10})
    steps.on_send = None
    await replays.write(ReplayControl(replay().id, "run", NOW + 1, 10_000.0))
    await carried(replays, topic, steps)
    assert len(steps.sent) == 100


async def test_a_limit_ends_it_at_the_event() -> None:
    """Not one more than was asked for, also after a restart."""
    topic, steps, replays = orders(100), Steps(), await asked(limit=7)
    await carried(replays, topic, steps)
    assert (len(steps.sent), replays.progress().status) == (7, "Completed")


async def test_a_dry_run_sends_nothing() -> None:
    """It counts what would start, and waits for nobody."""
    topic, steps, replays = orders(100), Steps(), await asked(dry_run=True)
    await carried(replays, topic, steps, Held(["busy"] * 99))
    assert (steps.sent, replays.progress().matched, replays.progress().started) == ([], 100, 0)


async def test_it_holds_back_while_the_executors_are_behind() -> None:
    """Nothing is sent meanwhile, and why is to be seen."""
    topic, steps, replays = orders(100), Steps(), await asked()
    await carried(replays, topic, steps, Held(["the executors are behind", "still behind"]))
    said = [record.held_back for record in replays.written if hasattr(record, "held_back")]
    assert said[:2] == ["the executors are behind", "still behind"]
    assert (said[-1], len(steps.sent)) == ("", 100)


async def test_a_function_that_is_gone_fails_it() -> None:
    """The reason is recorded; resuming tries again."""
    replays = await asked(function="shop/gone")
    await carried(replays, orders(3), Steps())
    assert replays.progress().status == "Failed"
    assert "shop/gone is not registered" in replays.progress().error


async def test_times_are_those_of_the_records() -> None:
    """Events that were written outside of the replay's times start nothing."""
    topic = Topic([Message(n, CODEC.encode(event(n=n)), NOW + n) for n in range(10)])
    steps, replays = Steps(), await asked(from_at=NOW + 3, to_at=NOW + 5)
    await carried(replays, topic, steps)
    assert [command.event_ids[0][-1] for command in steps.sent] == ["3", "4"]
    assert table().function(replay().function) is not None
