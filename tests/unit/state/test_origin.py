"""A state knows which topics it was folded from."""

from __future__ import annotations

from penstock.state.memory import MemoryStore
from penstock.state.origin import is_folded_from, remember_origin


def test_only_another_origin_is_a_difference() -> None:
    """A state without one, and a cluster that tells none, differ from nothing."""
    state = MemoryStore().open(0)
    assert is_folded_from(state, "one")
    remember_origin(state, "", 5)
    assert state.applied_at() == 0
    remember_origin(state, "one", 5)
    assert is_folded_from(state, "one")
    assert is_folded_from(state, "")
    assert not is_folded_from(state, "two")


def test_remembering_keeps_the_place_and_ends_with_the_state() -> None:
    """It is written beside what was folded."""
    state = MemoryStore().open(0)
    state.apply([(b"k", b"v")], 7, 1)
    remember_origin(state, "one", 2)
    assert (state.changelog_offset(), state.get(b"k")) == (7, b"v")
    state.clear()
    assert is_folded_from(state, "two")
