"""Asking for replays, and saying what is wanted of them."""

from __future__ import annotations

import json

import pytest

from penstock.errors import InvalidInput
from penstock.messages.records import ReplayProgress
from penstock.replay import desk as desk_module
from penstock.replay.desk import Desk, HasEnded, NotFound
from penstock.replay.requests import ReplayRequest, parse_request

from .doubles import CRON, NOW, TOPICS, MemoryReplays, function, table


def request(**body: object) -> ReplayRequest:
    return parse_request(json.dumps({"function": "fulfil", **body}).encode())


def desk(replays: MemoryReplays, *configs: object) -> Desk:
    clock = iter(range(NOW, NOW + 1000))
    return Desk(
        log=replays,
        functions=lambda: table(*configs),  # type: ignore[arg-type]
        topics=TOPICS,
        find_ranges=lambda topics, _from: ({f"{t}/0": 0 for t in topics}, {f"{t}/0": 9 for t in topics}),
        default_rate=100.0,
        now=lambda: next(clock),
    )


async def test_the_range_is_fixed_when_it_is_asked_for() -> None:
    """Events that come later are live, not part of the replay; only topics that can hold the names are read."""
    state, new = await desk(MemoryReplays()).ask(request())
    assert (new, dict(state.asked.ends), state.asked.rate) == (True, {"t.events/0": 9}, 100.0)


async def test_the_same_again_is_the_same() -> None:
    """Nothing is written for it; a limited one before it gives its runs' ids their time."""
    replays = MemoryReplays()
    asking = desk(replays)
    first, _ = await asking.ask(request(limit=3))
    whole, new = await asking.ask(request())
    assert (new, whole.asked.runs_dated) == (True, first.asked.created_at)
    again, new = await asking.ask(request(rate=7))
    assert (new, again, len(replays.written)) == (False, whole, 2)
    assert [state.asked.id for state in asking.newest(10)] == [whole.asked.id, first.asked.id]


async def test_pausing_resuming_and_the_end() -> None:
    """The last word counts even when a clock stands behind; after the end there is nothing to say."""
    replays = MemoryReplays()
    asking = desk(replays)
    state, _ = await asking.ask(request())
    name = state.asked.id
    assert (await asking.want(name, "pause")).status == "Paused"
    assert (await asking.want(name, "run", 5.0)).rate == 5.0
    await replays.write(ReplayProgress(name, "Failed", {}, NOW + 10**6, error="gone"))
    assert asking.get(name).status == "Failed"
    assert (await asking.want(name, "run")).status == "Running"
    await replays.write(ReplayProgress(name, "Completed", {}, NOW))
    with pytest.raises(HasEnded, match="completed"):
        await asking.want(name, "pause")


async def test_what_is_not_there_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown functions and replays name what there is; a function without events is refused."""
    monkeypatch.setattr(desk_module, "REGISTRY_SECONDS", 0.0)
    asking = desk(MemoryReplays())
    with pytest.raises(NotFound, match="did you mean shop/shop-fulfil"):
        await asking.ask(request(function="shop/shop-fulfill"))
    with pytest.raises(NotFound, match="replays list"):
        asking.get("nothing")
    with pytest.raises(InvalidInput, match="name the events"):
        await desk(MemoryReplays(), function(CRON)).ask(request())
