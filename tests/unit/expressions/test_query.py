"""Conditions for looking things up."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidExpression
from penstock.expressions.query import EVENT, EVENT_AND_OUTPUT, compile_query

EVENT_VALUE = {"name": "shop/paid", "data": {"amount": 250.0, "tags": ["a"]}}


@pytest.mark.parametrize(
    ("text", "output", "holds"),
    [
        ("event.data.amount > 200", None, True),
        ("event.data.amount > 200 && output.ok", {"ok": True}, True),
        ("event.data.amount > 200 && output.ok", {"ok": False}, False),
        ("output == 7", 7, True),
        ("output == null", None, True),
        ("event.data.missing == null", None, True),
        ("event.name", None, False),
        ("event.data.tags + 1 == 2", None, False),
    ],
)
def test_only_true_is_a_match(text: str, output: object, holds: bool) -> None:
    """Over the event and the output; any other value, and any error, is none."""
    query = compile_query(text, EVENT_AND_OUTPUT)
    assert query.holds({"event": EVENT_VALUE, "output": output}, 0) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event.data.amount >", "at 1:20"),
        ("event.a == output", "at 1:12: undeclared reference to 'output': known are event"),
        (" ", "the condition is empty"),
        ("x" * 5000, "5000 characters; 4096 are allowed"),
    ],
)
def test_what_does_not_compile_says_where(text: str, message: str) -> None:
    """With the column of the error."""
    with pytest.raises(InvalidExpression, match=message.replace("+", r"\+")):
        compile_query(text, EVENT)
