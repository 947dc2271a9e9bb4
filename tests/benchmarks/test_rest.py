"""What is left over when nothing runs any more."""

from __future__ import annotations

from benchmarks.rest import compare, table


def test_what_comes_back_is_gone_however_high_it_was() -> None:
    """Only what was before and what is afterwards counts."""
    (found,) = compare({"connections of x": 5.0}, {"connections of x": [5.0, 200.0, 90.0]}, {"connections of x": 6.0})
    assert found.gone
    assert (found.before, found.highest, found.after) == (5.0, 200.0, 6.0)


def test_what_stays_is_told_first() -> None:
    """More than its bound is left over, and a reader sees that before the rest."""
    before = {"connections of x": 5.0, "files of x": 20.0}
    lines = table(compare(before, {}, {"connections of x": 5.0, "files of x": 60.0}))
    assert lines[2].startswith("| files of x | 20.0 | 20.0 | 60.0 |")
    assert "**left**" in lines[2]
    assert "gone" in lines[3]


def test_what_cannot_be_measured_any_more_is_not_gone() -> None:
    """A process that has vanished has not shown that it gives back what it took."""
    (found,) = compare({"files of x": 5.0}, {}, {})
    assert not found.gone


def test_the_broker_has_bounds_of_its_own_and_the_rest_none() -> None:
    """Segments stay open until they are cut; lags and sizes are not compared."""
    before = {"files of broker": 100.0, "files of x": 100.0, "lag of x": 1.0}
    after = {"files of broker": 150.0, "files of x": 150.0, "lag of x": 9000.0}
    assert {one.name: one.gone for one in compare(before, {}, after)} == {"files of broker": True, "files of x": False}
