"""A place that is held back at the same offset twice hangs; it is told once."""

from __future__ import annotations

from penstock.executor.hanging import HeldBack

ONE, OTHER = ("run-steps", 1), ("waits", 2)


def test_only_what_is_held_back_where_it_was_before_hangs() -> None:
    """A live transaction is somewhere else at the next look."""
    held = HeldBack()
    assert held.hanging({ONE: 5, OTHER: 7}) == []
    assert held.hanging({ONE: 6}) == []
    assert held.hanging({ONE: 6, OTHER: 9}) == [ONE]


def test_what_cannot_be_helped_is_told_once() -> None:
    """Otherwise partitions would be opened anew for ever; at another offset it is another transaction."""
    held = HeldBack()
    held.hanging({ONE: 5})
    assert held.hanging({ONE: 5}) == [ONE]
    assert held.hanging({ONE: 5}) == []
    assert held.hanging({}) == []
    held.hanging({ONE: 9})
    assert held.hanging({ONE: 9}) == [ONE]
