"""No text crashes the compiler, no event crashes an expression, and equality has the laws one relies on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EvaluationFailed, InvalidExpression
from penstock.expressions.expression import Expression, compile_expression
from penstock.expressions.values import equal, less, less_equal

NOW = 1_788_000_000_000

WORDS = [
    *("event", "async", ".data", ".x", ".y", "['x']", "[0]", "[-1]", "null", "true", "false", "0", "1", "2.5", "'a'"),
    *("''", "b'a'", "[]", "{}", "[1, 'a']", "{'x': 1}", " + ", " - ", " * ", " / ", " % ", " == ", " != ", " < "),
    *(" <= ", " > ", " >= ", " && ", " || ", " ? ", " : ", " in ", "!", "-", "(", ")", ",", "size(", "has(event.x)"),
    *("lowercase(", "b64decode(", "json_parse(", "date(", "now()", "now_plus('1h')", "int(", "string(", "double("),
    *(".exists(i, i", ".all(i, i", ".map(i, i", ".filter(i, i", ".matches(", ".contains(", ".startsWith('a')"),
    *("duration(", "timestamp(", ".getHours()", ".getHours('Europe/Berlin')", "type(", "bytes(", "bool(", "uint("),
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a", "1h", "2026-01-01", "e30=", "9" * 40, "-1", "{}", "(", "\x00", "ÿ"])
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "x", "y", "a"]) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
events = st.dictionaries(st.sampled_from(["data", "x", "name", "ts"]), json_values, max_size=4)

OPERANDS = ["event.data", "event.data.x", "event.x", "event.data[0]", "async.data.x", "1", "1.5", "'a'", "null", "[1]"]
FORMS = [
    *(f"({{0}}) {operator} ({{1}})" for operator in ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in")),
    *(f"({{0}}) {operator} ({{1}})" for operator in ("&&", "||")),
    *("({0})[{1}]", "({0}) ? ({1}) : ({0})", "!({0})", "-({0})", "({0}).x", "[{0}, {1}]", "{{'k': {0}}}.k"),
    *(f"{function}({{0}})" for function in ("size", "type", "lowercase", "uppercase", "b64decode", "json_parse")),
    *(f"{function}({{0}})" for function in ("date", "now_plus", "now_minus", "int", "uint", "double", "string")),
    *(f"{function}({{0}})" for function in ("bytes", "bool", "timestamp", "duration", "dyn")),
    *(f"({{0}}).{method}({{1}})" for method in ("contains", "startsWith", "endsWith", "matches", "getHours")),
    *(f"({{0}}).{macro}(i, i == ({{1}}))" for macro in ("exists", "all", "exists_one", "map", "filter")),
]


@st.composite
def well_formed(draw: st.DrawFn) -> str:
    """An expression with a few levels of everything one may write."""
    text = draw(st.sampled_from(OPERANDS))
    for form in draw(st.lists(st.sampled_from(FORMS), max_size=4)):
        text = form.format(text, draw(st.sampled_from(OPERANDS)))
    return text


def compiled(text: str) -> Expression | None:
    try:
        return compile_expression(text)
    except InvalidExpression:
        return None


@given(st.text(max_size=200) | st.lists(st.sampled_from(WORDS), max_size=20).map("".join), events)
def test_no_text_crashes_the_compiler(text: str, event: dict[str, object]) -> None:
    """Any text is an expression or an `InvalidExpression`, and what compiles can be asked."""
    expression = compiled(text)
    if expression is not None:
        assert expression.matches(event, None, NOW) in (True, False)


@given(well_formed(), events, events)
def test_no_event_crashes_an_expression(text: str, event: dict[str, object], other: dict[str, object]) -> None:
    """Any event gives a value or an `EvaluationFailed`, the same one every time."""
    expression = compiled(text)
    if expression is None:
        return
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(repr(expression.value(event, other, NOW)))
        except EvaluationFailed as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@given(json_values, json_values, json_values)
def test_equality_is_an_equivalence(a: object, b: object, c: object) -> None:
    """Equal to itself, in both directions, and through a third."""
    assert equal(a, a)
    assert equal(a, b) == equal(b, a)
    if equal(a, b) and equal(b, c):
        assert equal(a, c)


@given(json_values, json_values)
def test_order_agrees_with_equality(a: object, b: object) -> None:
    """Of two values that can be ordered exactly one holds: less, equal or greater; null is least of all."""
    try:
        before, after, at_most = less(a, b), less(b, a), less_equal(a, b)
    except EvaluationFailed:
        return
    assert before + after + equal(a, b) == 1
    assert at_most == (before or equal(a, b))
