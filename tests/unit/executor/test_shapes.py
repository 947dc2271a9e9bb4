"""Which shapes of waits are known already."""

from __future__ import annotations

from penstock.executor.shapes import MARGIN_MS, MIN_DURATION_MS, KnownShapes
from penstock.messages.ids import JobId, RunId
from penstock.messages.records import Wait, WaitShape

NOW = 1_700_000_000_000


def wait(event: str = "e", path: str = "data.x", since: int = NOW, until: int = NOW + 1000) -> Wait:
    return Wait(RunId("R"), JobId("wait/s"), event, path, "1", "", "{}", since, until, NOW, ())


def missing(shapes: KnownShapes, each: Wait, now: int = NOW) -> WaitShape:
    shape = shapes.missing(each, now)
    assert shape is not None
    return shape


def test_the_first_wait_of_a_shape_tells_of_it() -> None:
    """With room on both sides, so that the next waits need not."""
    shape = missing(KnownShapes(), wait())
    assert (shape.event, shape.path) == ("e", "data.x")
    assert shape.since == NOW - MARGIN_MS
    assert shape.until == NOW + 1000 + MIN_DURATION_MS


def test_a_known_shape_is_not_told_again() -> None:
    """As long as it begins early enough and lasts long enough."""
    shapes = KnownShapes()
    shapes.take(missing(shapes, wait()))
    assert shapes.missing(wait(since=NOW - MARGIN_MS, until=NOW + 5000), NOW) is None
    assert missing(shapes, wait(since=NOW - MARGIN_MS - 1)).since < NOW - MARGIN_MS
    assert missing(shapes, wait(until=NOW + 2 * MIN_DURATION_MS)).until >= NOW + 2 * MIN_DURATION_MS
    assert missing(shapes, wait(path="data.y")).path == "data.y"


def test_a_shape_grows_and_never_shrinks() -> None:
    """What other waits of it need stays part of it."""
    shapes = KnownShapes()
    shapes.take(WaitShape("e", "data.x", NOW - 10_000_000, NOW + 500, NOW))
    grown = missing(shapes, wait())
    assert grown.since == NOW - 10_000_000


def test_a_lapsed_shape_begins_anew() -> None:
    """What was received while nobody waited is not asked for."""
    shapes = KnownShapes()
    shapes.take(WaitShape("e", "data.x", NOW - 10_000_000, NOW - 1, NOW - 10_000_000))
    assert missing(shapes, wait()).since == NOW - MARGIN_MS
    assert not shapes.waited_for("e", NOW)


def test_a_name_is_waited_for_as_long_as_any_of_its_shapes() -> None:
    """Whatever the path."""
    shapes = KnownShapes()
    shapes.take(WaitShape("e", "data.x", 0, NOW + 1, NOW))
    shapes.take(WaitShape("e", "", 0, NOW - 1, NOW))
    assert shapes.waited_for("e", NOW)
    assert not shapes.waited_for("e", NOW + 1)
    assert not shapes.waited_for("f", NOW)


def test_shapes_that_have_lapsed_are_forgotten() -> None:
    """Event names made up at run time do not fill the memory for ever."""
    shapes = KnownShapes()
    for number in range(10_001):
        shapes.take(WaitShape(f"lapsed/{number}", "", 0, NOW - 5, NOW - 2))
    shapes.take(WaitShape("live", "", 0, NOW + 1, NOW))
    assert len(shapes._shapes) == 1
    assert shapes.waited_for("live", NOW)
