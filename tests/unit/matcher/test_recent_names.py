"""What is remembered of the names that were matched."""

from __future__ import annotations

from penstock.matcher.recent_names import RecentNames


def test_a_name_that_was_not_seen_since_need_not_be_looked_for() -> None:
    """Only what was received at the time or later counts, and the latest of a name is kept."""
    names = RecentNames(known_since=100)
    names.seen("a", 150)
    names.seen("a", 120)
    assert names.may_have("a", 150)
    assert not names.may_have("a", 151)
    assert not names.may_have("b", 100)


def test_before_we_watched_anything_may_have_been() -> None:
    """Somebody else matched the partition then."""
    assert RecentNames(known_since=100).may_have("b", 99)


def test_a_forgotten_name_is_looked_for() -> None:
    """Beyond the bound the name seen longest ago goes, and with it the certainty about its time."""
    names = RecentNames(known_since=0, most=2)
    for at, name in ((10, "a"), (20, "b"), (25, "a"), (30, "c")):
        names.seen(name, at)
    assert names.may_have("b", 20)
    assert names.may_have("x", 20)
    assert not names.may_have("x", 21)
    assert names.may_have("a", 25)
