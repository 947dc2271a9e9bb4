"""How much a GraphQL query may ask for."""

from __future__ import annotations

import pytest
from graphql import parse

from penstock.errors import LimitExceeded
from penstock.history.graph_bounds import MAX_DEPTH, check_bounds


def nested(depth: int) -> str:
    return "{" + "a{" * (depth - 1) + "b" + "}" * depth


@pytest.mark.parametrize(
    "query",
    [
        '{ run(runID: "x") { status output trace { childrenSpans { name childrenSpans { name } } } } }',
        "{ runs(first: 100) { edges { cursor node { id status output startedAt endedAt } } totalCount } }",
        "{ eventsV2(first: 20) { edges { node { id name runs { id status function { name } } } } } }",
        nested(MAX_DEPTH),
    ],
)
def test_what_tools_ask_for_is_allowed(query: str) -> None:
    """Lists of a hundred with what they show, and a run with its trace."""
    check_bounds(parse(query), {})


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        (nested(MAX_DEPTH + 1), {}, "nested more than"),
        ("{ runs(first: 100) { edges { node { trace { name } } } } }", {}, "lower `first`"),
        ("query($n: Int) { runs(first: $n) { edges { node { id } } } }", {"n": 100_000}, "lower `first`"),
        ("query { ...A } fragment A on Query { runs(first: 9000) { edges { cursor } } }", {}, "lower `first`"),
    ],
)
def test_what_costs_too_much_is_refused(query: str, variables: dict[str, object], message: str) -> None:
    """By depth or by number of values, before anything is asked of the database."""
    with pytest.raises(LimitExceeded, match=message):
        check_bounds(parse(query), variables)


def test_fragments_of_fragments_are_counted_once_each() -> None:
    """A few lines that stand for millions of fields are counted quickly, and refused."""
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    with pytest.raises(LimitExceeded):
        check_bounds(parse(f"{{ ...F0 }} {fragments} fragment F40 on Query {{ a b c }}"), {})
