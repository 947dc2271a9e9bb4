"""The fold of the topic `replays`."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from penstock.errors import UndecodableRecord
from penstock.messages.records import ReplayControl, ReplayProgress
from penstock.replay.table import ReplayRecord, ReplayTable, usable

from .doubles import NOW, replay

ID = replay().id


def control(wanted: str, at: int = NOW, rate: float = 0.0) -> ReplayControl:
    return ReplayControl(ID, wanted, at, rate)  # type: ignore[arg-type]


def progress(status: str = "Running", at: int = NOW, position: int = 5) -> ReplayProgress:
    return ReplayProgress(ID, status, {"events/0": position}, at, matched=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "status", "active"),
    [
        ([], "Scheduled", True),
        ([progress()], "Running", True),
        ([progress(), control("pause")], "Paused", False),
        ([control("pause")], "Paused", False),
        ([progress(), control("pause"), control("run", NOW + 1)], "Running", True),
        ([progress(), control("cancel")], "Cancelled", False),
        ([control("pause"), progress("Completed")], "Completed", False),
        ([progress("Failed")], "Failed", False),
        ([progress("Failed"), control("run", NOW + 1)], "Running", True),
    ],
)
def test_the_last_word_counts_and_the_end_is_final(records: list[ReplayRecord], status: str, active: bool) -> None:
    """What people want, and how far the replayer is, make one status."""
    found = ReplayTable()
    for record in [replay(), *records]:
        found.apply(record)
    state = found.get(ID)
    assert state is not None
    assert (state.status, state.active) == (status, active)


def test_compaction_may_reorder_the_three_records() -> None:
    """In whatever order they are left on the topic, they make the same replay."""
    for order in itertools.permutations([replay(), control("pause"), progress()]):
        found = ReplayTable()
        for record in order:
            found.apply(record)
        state = found.get(ID)
        assert state is not None
        assert (state.status, state.positions()) == ("Paused", {"events/0": 5})


def test_done_counts_what_was_read_within_the_range() -> None:
    """Records read, of those between begin and end; an end that was reached is all of it."""
    found = ReplayTable()
    found.apply(replay(begins={"events/0": 2, "events/1": 7}, ends={"events/0": 10, "events/1": 7}))
    found.apply(progress(position=6))
    state = found.get(ID)
    assert state is not None
    assert (state.total(), state.done()) == (8, 4)
    assert found.first_of("ab" * 16) == state
    assert found.first_of("other") is None


def test_asked_twice_is_the_first_and_goes_on() -> None:
    """A carrier may have begun with it: neither its date and its ends change, nor what was said about it."""
    found = ReplayTable()
    for record in [replay(), progress(), control("pause")]:
        found.apply(record)
    found.apply(replay(runs_dated=NOW + 5, created_at=NOW + 5, ends={"events/0": 99}))
    state = found.get(ID)
    assert state is not None
    assert (state.asked, state.positions(), state.status) == (replay(), {"events/0": 5}, "Paused")


@pytest.mark.parametrize(
    "broken",
    [
        replace(replay(), ends={}),
        replace(replay(), begins={"x": 1}, ends={"x": 2}),
        replace(replay(), rate=float("nan")),
        replace(replay(), rate=0.0),
        replace(replay(), created_at=-1),
        control("run", rate=-1.0),
        control("run", (1 << 63) - 1),
        progress(at=1 << 60),
    ],
)
def test_what_no_release_writes_is_refused(broken: ReplayRecord) -> None:
    """One such record would make the list of all replays fail."""
    with pytest.raises(UndecodableRecord):
        usable(broken)


def test_what_releases_write_is_usable() -> None:
    """Nothing of ours is refused."""
    for record in (replay(), control("pause"), progress()):
        assert usable(record) is record


def test_progress_in_a_partition_that_was_not_asked_for_does_not_count() -> None:
    """Positions are those of the partitions that the replay reads."""
    found = ReplayTable()
    found.apply(replay())
    found.apply(replace(progress(), positions={"other/7": 5}))
    state = found.get(ID)
    assert state is not None
    assert state.positions() == dict(replay().begins)
    assert state.done() == 0
