"""A condition that was taken apart matches exactly the events that the whole one matches."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from hypothesis import event as noted
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.expressions.expression import compile_expression
from penstock.expressions.paths import canonical, path_of, steps_of, value_at
from penstock.expressions.split import split
from penstock.expressions.syntax import parse
from penstock.expressions.values import equal, from_json
from tests.property.effort import examples

NOW = 1_788_000_000_000

scalars = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 1.5, -0.0, 2**53, 2.0**53, 2**60 + 1, "", "1", "a", "a.b", "x"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a.b", "0"]), inner),
    max_leaves=8,
)
events = st.fixed_dictionaries({}, optional={"data": values, "a": values, "name": scalars})

PATHS = ["a", "data", "data.a", "data.b", "data.a.b", "data['a']", "data['a.b']", "data[0]", "data.a[0]", "data['0'].a"]
LITERALS = ["null", "true", "false", "0", "1", "1.0", "1.5", "9007199254740992", "''", "'1'", "'a'", "[1]", "{'a': 1}"]
asynchronous = st.sampled_from(PATHS).map(lambda path: f"async.{path}")
own = st.sampled_from(PATHS).map(lambda path: f"event.{path}")
fixed = own | st.sampled_from(LITERALS) | own.map(lambda text: f"({text} + 1)")
operands = asynchronous | fixed | st.sampled_from(["event", "async", "event.data[async.a]", "size(event.data)"])
equalities = st.tuples(asynchronous, fixed).flatmap(
    lambda sides: st.sampled_from([f"{sides[0]} == {sides[1]}", f"{sides[1]} == {sides[0]}"])
)
comparisons = st.builds(
    "({} {} {})".format, operands, st.sampled_from(["==", "!=", "<", ">=", "in", "&&", "||"]), operands
)
others = comparisons | st.sampled_from(
    [
        *(
            "has(event.data.a)",
            "has(async.data.a)",
            "event.data.exists(i, i == async.a)",
            "!async.a",
            "now() > date(0)",
        ),
        *("async.data.exists(i, i == event.a)", "event.a ? async.a : async.data", "event.exists(event, event == 'a')"),
    ]
)
conditions = st.lists(equalities | equalities | fixed | others, min_size=1, max_size=3).map(" && ".join)


@settings(max_examples=examples(500), deadline=None)
@given(conditions, events, st.lists(events, min_size=1, max_size=4), st.booleans())
def test_the_parts_say_what_the_whole_says(
    text: str, event: Mapping[str, object], incoming: list[dict[str, object]], alike: bool
) -> None:
    """Path, value and what is left are true together exactly when the expression is."""
    found = split(text, event)
    noted("never" if found is None else "indexed" if found.path else "open")
    for candidate in [*incoming, event] if alike else incoming:
        whole = compile_expression(text).matches(event, candidate, NOW)
        if found is None:
            assert not whole
            continue
        met = value_at(candidate, found.path) == found.value
        bound = orjson.loads(found.bound)
        rest = not found.condition or compile_expression(found.condition).matches(bound, candidate, NOW)
        noted(f"match {whole}")
        assert (met and rest) == whole


@settings(deadline=None)
@given(values, values)
def test_canonical_is_equality(left: object, right: object) -> None:
    """Two scalars share a text exactly when expressions find them equal, as JSON and after being written again."""
    if canonical(left) is None or canonical(right) is None:
        return
    assert (canonical(left) == canonical(right)) == equal(from_json(left), from_json(right))
    assert canonical(orjson.loads(orjson.dumps(left))) == canonical(left)


@settings(deadline=None)
@given(st.lists(st.text(max_size=6).filter(lambda key: "\0" not in key), min_size=1, max_size=4))
def test_paths_are_unambiguous(keys: list[str]) -> None:
    """Whatever the keys are, the path's text leads to the same keys."""
    quoted = "".join(f"[{orjson.dumps(key).decode()}]" for key in keys)
    path = path_of(parse("async" + quoted))
    assert path is not None
    assert [step.key for step in steps_of(path)] == keys
