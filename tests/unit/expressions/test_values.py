"""Truth, equality, order and sums of what JSON holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock.errors import EvaluationFailed
from penstock.expressions.values import (
    MAX_INT,
    MAX_TEXT,
    add,
    equal,
    from_json,
    greater,
    greater_equal,
    less,
    less_equal,
    number_text,
    truthy,
    type_name,
)

NAN = float("nan")


@pytest.mark.parametrize("value", [None, False, 0, 0.0, -0.0, NAN, ""])
def test_falsy_values(value: object) -> None:
    """Exactly those that JavaScript takes for false."""
    assert not truthy(value)


@pytest.mark.parametrize("value", [True, 1, -0.5, "0", "false", [], {}, b"", datetime.now(UTC), timedelta(0)])
def test_truthy_values(value: object) -> None:
    """Everything else, empty lists and maps included."""
    assert truthy(value)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (0, False), (1, "1"), (None, False), (None, 0), ([1], [True]), ({"a": 1}, {"a": "1"}), (b"a", "a")],
)
def test_kinds_that_differ_are_unequal(left: object, right: object) -> None:
    """Python would call some of these equal."""
    assert not equal(left, right)
    assert not equal(right, left)


@pytest.mark.parametrize("compare", [less, less_equal, greater, greater_equal])
def test_nan_is_not_in_order(compare: object) -> None:
    """Every comparison with it is false, and it does not equal itself."""
    assert callable(compare)
    assert compare(NAN, 1.0) is False
    assert compare(1.0, NAN) is False
    assert not equal(NAN, NAN)


@pytest.mark.parametrize(
    ("left", "right"), [("a", 1), (True, 1), ([1], [2]), ({}, {}), (datetime.now(UTC), "2026-01-01"), (b"a", "b")]
)
def test_kinds_that_differ_have_no_order(left: object, right: object) -> None:
    """An error, not an accident of the implementation."""
    with pytest.raises(EvaluationFailed, match="no such overload"):
        less(left, right)


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (3, "3"), (0.5, "0.5"), (-2.0, "-2"), (1e21, "1e+21"), (float("inf"), "inf")]
)
def test_numbers_are_written_as_people_do(value: object, text: str) -> None:
    """A whole double has no decimals."""
    assert number_text(value) == text


def test_sums() -> None:
    """Lists, bytes, times and durations add up, too; bounds hold."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert add([1], [2]) == [1, 2]
    assert add(b"a", b"b") == b"ab"
    assert add(at, timedelta(days=1)) == add(timedelta(days=1), at) == datetime(2026, 1, 2, tzinfo=UTC)
    assert add(timedelta(1), timedelta(1)) == timedelta(2)
    for left, right in (([1], "a"), (True, 1), (at, at), (MAX_INT, 1), ("a" * MAX_TEXT, "a"), ({}, {})):
        with pytest.raises(EvaluationFailed):
            add(left, right)


def test_json_numbers_are_doubles_while_that_is_exact() -> None:
    """An integer that a double cannot hold stays what it is."""
    assert type(from_json(3)) is float
    assert from_json(2**53) == float(2**53)
    assert type(from_json(2**53 + 1)) is int
    assert from_json(True) is True


def test_types_have_cel_names() -> None:
    """As `type()` shows them."""
    names = [type_name(value) for value in (None, True, 1, 1.0, "a", b"a", [], {}, timedelta(0))]
    assert names == ["null_type", "bool", "int", "double", "string", "bytes", "list", "map", "google.protobuf.Duration"]
