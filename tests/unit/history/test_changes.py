"""What a batch changed, as open pages are told."""

from __future__ import annotations

import orjson

from penstock.history.change_list import Change
from penstock.history.changes import MAX_IDS, changed_ids
from penstock.history.live import merged
from penstock.history.rows import Rows


def batch() -> Rows:
    rows = Rows()
    rows.started = {"a": {}, "b": {}}
    rows.ended = {"b": {}, "old": {}}
    rows.steps = {("a", "s"): {}, ("c", "s"): {}}
    rows.done_jobs = {("d", "j"), ("old", "j")}
    rows.events = {"e1": {}, "e2": {}}
    return rows


def test_ids_are_told_by_kind() -> None:
    """A run that began or ended is not told as merely changed; the latest comes first."""
    told = orjson.loads(changed_ids(batch()))
    assert told["runs"]["started"] == ["b", "a"]
    assert told["runs"]["ended"] == ["old", "b"]
    assert sorted(told["runs"]["changed"]) == ["c", "d"]
    assert told["events"] == ["e2", "e1"]
    assert (told["functions"], told["dead_letters"], told["more"]) == (False, False, False)


def test_functions_and_dead_letters_are_told_as_kinds() -> None:
    """Pages load their lists anew."""
    rows = Rows()
    rows.apps, rows.dead_letters = {"shop": {}}, {"1": {}}
    told = orjson.loads(changed_ids(rows))
    assert (told["functions"], told["dead_letters"]) == (True, True)


def test_a_large_batch_is_bounded() -> None:
    """The latest ids, and that there are more."""
    rows = Rows()
    rows.started = {f"r{number}": {} for number in range(MAX_IDS + 5)}
    told = orjson.loads(changed_ids(rows))
    assert len(told["runs"]["started"]) == MAX_IDS
    assert told["runs"]["started"][0] == f"r{MAX_IDS + 4}"
    assert told["more"] is True


def test_batches_become_one_message() -> None:
    """Each id once, the latest first, and still bounded."""
    one, other, large = Rows(), Rows(), Rows()
    one.started, one.events = {"a": {}}, {"e1": {}}
    other.started, other.events, other.functions = {"a": {}, "b": {}}, {"e2": {}}, {"f": {}}
    told = orjson.loads(merged([Change(1, changed_ids(one)), Change(2, changed_ids(other))]))
    assert told["runs"]["started"] == ["b", "a"]
    assert told["events"] == ["e2", "e1"]
    assert (told["functions"], told["more"]) == (True, False)
    large.events = {f"e{number}": {} for number in range(MAX_IDS - 1)}
    told = orjson.loads(
        merged([Change(1, changed_ids(other)), Change(2, changed_ids(large)), Change(3, changed_ids(one))])
    )
    assert (len(told["events"]), told["more"]) == (MAX_IDS - 1, False)
    other.events = {"x": {}, "y": {}}
    told = orjson.loads(merged([Change(1, changed_ids(other)), Change(2, changed_ids(large))]))
    assert (len(told["events"]), told["more"]) == (MAX_IDS, True)
