"""Which shapes are live, and which make earlier events worth another look."""

from __future__ import annotations

from penstock.matcher.shapes import LAPSED_FOR_MS, MARGIN_MS, SWEEP_AT, ShapeTable
from penstock.messages.records import WaitShape

NOW = 1_788_000_000_000
HOUR = 3_600_000


def shape(since: int = NOW, until: int = NOW + HOUR, path: str = "data.x", event: str = "a") -> WaitShape:
    return WaitShape(event, path, since, until, NOW)


def test_an_event_is_correlated_by_every_live_path_of_its_name() -> None:
    """And by none of another name, and by none that lapsed before the event was received."""
    table = ShapeTable()
    table.apply(shape(), 0, NOW)
    table.apply(shape(path="", until=NOW + 10), 1, NOW)
    assert table.paths("a", NOW + 10) == ["data.x", ""]
    assert table.paths("a", NOW + 11) == ["data.x"]
    assert table.paths("a", NOW + HOUR + 1) == []
    assert table.paths("b", NOW) == []


def test_a_first_shape_asks_for_a_look_back_with_a_margin() -> None:
    """Clocks differ, and waits of one shape begin side by side."""
    missed = ShapeTable().apply(shape(), 7, NOW)
    assert missed is not None
    assert (missed.event, missed.path, missed.since, missed.offset) == ("a", "data.x", NOW - MARGIN_MS, 7)


def test_a_live_shape_that_is_extended_asks_for_nothing() -> None:
    """All events since were correlated already; it lives as long as the longest record says."""
    table = ShapeTable()
    table.apply(shape(), 0, NOW)
    assert table.apply(shape(since=NOW + 5, until=NOW + 2 * HOUR), 1, NOW + 5) is None
    assert table.apply(shape(since=NOW + 6, until=NOW + HOUR), 2, NOW + 6) is None
    assert table.paths("a", NOW + 2 * HOUR) == ["data.x"]


def test_a_shape_that_reaches_further_back_asks_for_a_look_back() -> None:
    """Events before the first record's time were not looked at."""
    table = ShapeTable()
    table.apply(shape(), 0, NOW)
    missed = table.apply(shape(since=NOW - HOUR), 1, NOW)
    assert missed is not None
    assert missed.since == NOW - HOUR - MARGIN_MS


def test_a_shape_that_had_lapsed_asks_for_a_look_back() -> None:
    """Events in between were not correlated."""
    table = ShapeTable()
    table.apply(shape(until=NOW + 10), 0, NOW)
    later = NOW + HOUR
    assert table.apply(shape(since=later, until=later + HOUR), 1, later) is not None


def test_shapes_behind_an_offset() -> None:
    """By their latest record; since when they are needed, by the earliest."""
    table = ShapeTable()
    table.apply(shape(), 0, NOW)
    table.apply(shape(path="data.y"), 1, NOW)
    table.apply(shape(since=NOW + 5), 2, NOW)
    (behind,) = table.behind(2)
    assert (behind.path, behind.since) == ("data.x", NOW - MARGIN_MS)
    assert {one.path for one in table.behind(0)} == {"data.x", "data.y"}


def test_lapsed_shapes_of_passing_names_do_not_pile_up() -> None:
    """Names that are made up for one wait each are forgotten a day after their last wait."""
    table = ShapeTable()
    for number in range(SWEEP_AT - 1):
        table.apply(shape(event=f"n{number}", until=NOW), number, NOW)
    assert len(table) == SWEEP_AT - 1
    later = NOW + LAPSED_FOR_MS + 1
    table.apply(shape(event="last", until=later), SWEEP_AT, later)
    assert len(table) == 1
    assert table.paths("last", later) == ["data.x"]
