"""What is taken out of a wait's condition, what is left, and when nothing can match."""

from __future__ import annotations

import orjson
import pytest

from penstock.errors import InvalidExpression
from penstock.expressions.split import Split, split

EVENT: dict[str, object] = {
    "name": "shop/order.placed",
    "data": {"id": "o1", "n": 1, "plan": "pro", "tags": ["a"], "deep": {"x": 1, "y": 2}, "big": 2**60 + 1},
    "user": {"email": "a@b.c"},
}


def of(text: str) -> Split:
    found = split(text, EVENT)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("async.data.id == event.data.id", "data.id", '"o1"'),
        ("event.data.id == async.data.id", "data.id", '"o1"'),
        ("async.data.n == event.data.n", "data.n", "1"),
        ("async.data.n == 1.5", "data.n", "1.5"),
        ("async.data.ok == true", "data.ok", "true"),
        ("async.data.id == event.data.missing", "data.id", "null"),
        ("async.data.id == null", "data.id", "null"),
        ("async.data.big == event.data.big", "data.big", "1152921504606846977"),
        ("async.name == 'x/' + event.data.id", "name", '"x/o1"'),
        ("async.data['user id'] == event.data.id", 'data["user id"]', '"o1"'),
        ("async.data.items[0].id == event.data.id", "data.items[0].id", '"o1"'),
        ("(async.data.id == event.data.id)", "data.id", '"o1"'),
    ],
)
def test_an_equality_is_everything(text: str, path: str, value: str) -> None:
    """A condition that is one equality becomes a path and a value, and nothing is left to check."""
    assert of(text) == Split(path, value, "", "{}")


def test_the_rest_stays_as_it_was_written() -> None:
    """With more to check, the condition is the whole text, over those parts of the event that it reads."""
    text = "async.data.id == event.data.id && async.data.n > event.data.deep.x"
    found = of(text)
    assert (found.path, found.value, found.condition) == ("data.id", '"o1"', text)
    assert orjson.loads(found.bound) == {"data": {"id": "o1", "deep": {"x": 1}}}


def test_what_the_event_alone_decides_is_decided_once() -> None:
    """A conjunct without the incoming event either ends the wait before it begins or need not be asked again."""
    assert of("event.data.plan == 'pro' && async.data.id == event.data.id") == Split("data.id", '"o1"', "", "{}")
    assert split("event.data.plan == 'free' && async.data.id == event.data.id", EVENT) is None
    assert split("event.data.tags + 1 == 2 && async.data.id == 'x'", EVENT) is None
    assert split("false", EVENT) is None
    assert of("event.data.n == 1") == Split("", "", "", "{}")


def test_truth_counts_only_below_and() -> None:
    """A condition as a whole must be true; a part of a conjunction may be anything that counts as true."""
    assert split("event.data.plan", EVENT) is None
    assert of("event.data.plan && async.data.n == 1") == Split("data.n", "1", "", "{}")


def test_the_runs_own_value_goes_first() -> None:
    """An equality with a value of the run tells runs apart; one with a constant is left to check."""
    text = "async.data.state == 'done' && async.data.id == event.data.id"
    assert (of(text).path, of(text).condition) == ("data.id", text)
    both = "async.data.state == 'done' && async.data.kind == 'x'"
    assert (of(both).path, of(both).value) == ("data.state", '"done"')


@pytest.mark.parametrize(
    "text",
    [
        "async.data.n > event.data.n",
        "async.data.id == event.data.id || async.data.n == 1",
        "async.data.tags == event.data.tags",
        "async.data.deep == event.data.deep",
        "async.data.id == async.data.n",
        "async.data.at == now()",
        "lowercase(async.data.id) == event.data.id",
        "async.data[event.data.id] == 'x'",
        "async.data.items[-1] == 'x'",
        "async.data.tags.exists(t, t == event.data.id)",
        "!(async.data.id == event.data.id)",
        "async == event",
        "async.data.`user id` == 'x'",
    ],
)
def test_conditions_without_an_index(text: str) -> None:
    """What no single scalar decides is asked of every event of the name."""
    found = of(text)
    assert (found.path, found.value, found.condition) == ("", "", text)


@pytest.mark.parametrize(
    "text", ["async.data.at == date('2026-01-01')", "async.data.x == b'x'", "async.x == 0.0 / 0.0"]
)
def test_values_that_json_cannot_hold(text: str) -> None:
    """No event holds a timestamp, bytes or NaN: the wait can only time out."""
    assert split(text, EVENT) is None


def test_a_condition_that_does_not_compile() -> None:
    """The compiler's words reach whoever wrote it."""
    with pytest.raises(InvalidExpression, match="Syntax error"):
        split("async.data.id ==", EVENT)
    with pytest.raises(InvalidExpression, match="undeclared reference to 'foo'"):
        split("async.data.id == foo", EVENT)
    with pytest.raises(InvalidExpression, match="empty"):
        split(" ", EVENT)
