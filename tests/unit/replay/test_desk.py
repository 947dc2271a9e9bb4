"""Asking for replays, and saying what is wanted of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from penstock.errors import InvalidInput
from penstock.messages.records import Replay, ReplayProgress
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


async def asked_elsewhere(**body: object) -> Replay:
    """What another process writes for the request, a second before us."""
    replays = MemoryReplays()
    state, _ = await desk(replays).ask(request(**body))
    return replace(state.asked, created_at=NOW - 1000, runs_dated=NOW - 1000)


async def test_two_clicks_are_one_replay() -> None:
    """Requests that overlap in one process wait for one another."""
    replays = MemoryReplays()
    asking = desk(replays)
    (first, new), (second, again) = await asyncio.gather(asking.ask(request()), asking.ask(request()))
    assert (new, again, first, len(replays.written)) == (True, False, second, 1)


async def test_what_another_process_was_asked_before_is_found() -> None:
    """The topic is read to its end before anything is written."""
    other = await asked_elsewhere()
    replays = MemoryReplays(written_by_others=[other])
    state, new = await desk(replays).ask(request())
    assert (state.asked, new, replays.written) == (other, False, [other])


async def test_of_two_processes_asked_at_once_the_first_record_counts() -> None:
    """The second one's is followed by the first one's words, so that compaction keeps these."""
    other = await asked_elsewhere()
    replays = MemoryReplays(written_at_once=[other])
    state, new = await desk(replays).ask(request())
    assert (state.asked, new) == (other, False)
    assert replays.written[-1] == other


async def test_replays_asked_at_once_that_name_the_same_runs_date_them_alike() -> None:
    """One with a limit and one without start the same runs, by the first one's date."""
    other = await asked_elsewhere(limit=3)
    replays = MemoryReplays(written_at_once=[other])
    state, new = await desk(replays).ask(request())
    assert (state.asked.runs_dated, new) == (other.runs_dated, True)
    assert replays.written[-1] == state.asked


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
