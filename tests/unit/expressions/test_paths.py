"""Paths as text and back, and the text of the value that lies there."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidExpression
from penstock.expressions.paths import MAX_TEXT, Step, canonical, path_of, steps_of, value_at
from penstock.expressions.syntax import parse

EVENT: dict[str, object] = {
    "name": "x",
    "data": {
        "id": "o1",
        "user id": "with space",
        "a.b": "with dot",
        'q"': "quoted",
        "]": "bracket",
        "0": "zero",
        "items": [{"id": 7}],
        "map": {"x": 1},
    },
}


@pytest.mark.parametrize(
    ("expression", "path", "value"),
    [
        ("async.name", "name", '"x"'),
        ("async.data.id", "data.id", '"o1"'),
        ('async.data["user id"]', 'data["user id"]', '"with space"'),
        ("async.data['a.b']", 'data["a.b"]', '"with dot"'),
        ("async.data['q\"']", r'data["q\""]', '"quoted"'),
        ("async.data[']']", 'data["]"]', '"bracket"'),
        ("async['data']['id']", '["data"]["id"]', '"o1"'),
        ("async.data.items[0].id", "data.items[0].id", "7"),
        ("async.data.items[1].id", "data.items[1].id", "null"),
        ("async.data['0']", 'data["0"]', '"zero"'),
        ("async.data[0]", "data[0]", "null"),
        ("async.data.missing.deeper", "data.missing.deeper", "null"),
        ("async.data.id.deeper", "data.id.deeper", "null"),
        ("async.data.missing['x'][0]", 'data.missing["x"][0]', "null"),
        ("async.data.map", "data.map", None),
        ("async.data.items", "data.items", None),
        ("async.data.id['x']", 'data.id["x"]', None),
        ("async.data.items['x']", 'data.items["x"]', None),
    ],
)
def test_a_path_leads_where_the_expression_does(expression: str, path: str, value: str | None) -> None:
    """The text says the same as the expression; an error there, a list or a map has no value."""
    assert path_of(parse(expression)) == path
    assert value_at(EVENT, path) == value


def test_every_text_has_its_own_steps() -> None:
    """Keys that look like paths stay keys."""
    assert steps_of("data.a.b") == (Step("data", True), Step("a", True), Step("b", True))
    assert steps_of('data["a.b"]') == (Step("data", True), Step("a.b", False))
    assert steps_of('["0"][0]') == (Step("0", False), Step(0, False))


@pytest.mark.parametrize("path", ["data..x", ".data", "data.", "data[x]", "data[-1]", "data[", 'data["x"', "a b", "7"])
def test_texts_that_are_no_paths(path: str) -> None:
    """What no expression produces is refused, not guessed at."""
    with pytest.raises(InvalidExpression, match="not a path"):
        value_at(EVENT, path)


@pytest.mark.parametrize("expression", ["async", "event.data.id", "async.data[async.name]", "has(async.name)", "1"])
def test_expressions_that_are_no_paths(expression: str) -> None:
    """Only constant keys below the incoming event make a path."""
    assert path_of(parse(expression)) is None


def test_any_event_has_the_empty_path() -> None:
    """Waits without an equality and every event meet under the empty value."""
    assert value_at(EVENT, "") == ""


def test_equal_numbers_share_a_text() -> None:
    """1, 1.0 and a large double and its integer are one value; true and "1" are others."""
    assert canonical(1) == canonical(1.0) == "1"
    assert canonical(0) == canonical(-0.0) == "0"
    assert canonical(2**60) == canonical(float(2**60))
    assert canonical(2**60 + 1) != canonical(2**60)
    assert len({canonical(value) for value in (1, True, "1", "true", None, "null", 0.1, "")}) == 8


def test_long_texts_stay_small() -> None:
    """Texts beyond the bound are told apart by their hash, which no short text can look like."""
    long, other = canonical("x" * (MAX_TEXT + 1)), canonical("x" * (MAX_TEXT + 2))
    assert long is not None
    assert long != other
    assert len(long) < 100
    assert canonical(long) != long


def test_what_is_no_scalar_has_no_text() -> None:
    """Lists, maps and NaN are not found by a key."""
    assert [canonical(value) for value in ([], {}, float("nan"))] == [None] * 3
