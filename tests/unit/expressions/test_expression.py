"""The protocol's CEL paragraph, sentence by sentence."""

from __future__ import annotations

import pytest

from penstock.errors import EvaluationFailed, InvalidExpression
from penstock.expressions.expression import MAX_CHARACTERS, compile_expression

NOW = 1_788_000_000_000  # 2026-08-29T08:00:00Z
EVENT: dict[str, object] = {
    "id": "e1",
    "name": "shop/order.placed",
    "ts": NOW,
    "user": {"email": "A@B.c"},
    "data": {
        "plan": "pro",
        "n": 3,
        "half": 0.5,
        "big": 12_345_678_901_234_567,
        "yes": True,
        "no": False,
        "none": None,
        "empty": "",
        "zero": 0,
        "tags": ["a", "b"],
        "numbers": [1, 2, 3],
        "deep": {"x": [{"y": 1}]},
        "b64": "aGVsbG8=",
        "json": '{"a": [1, {"b": "c"}]}',
        "at": "2026-08-29T10:00:00+02:00",
        "a-b": 1,
    },
}
ASYNC: dict[str, object] = {"name": "shop/order.paid", "data": {"plan": "pro", "n": 4}}


def value(text: str) -> object:
    return compile_expression(text).value(EVENT, ASYNC, NOW)


def matches(text: str) -> bool:
    return compile_expression(text).matches(EVENT, ASYNC, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.plan == 'pro'",
        "event.data['plan'] == \"pro\"",
        "event.data['a-b'] == 1",
        "event.name.startsWith('shop/') && event.name.endsWith('placed')",
        "event.data.deep.x[0].y == 1",
        "event.data.plan == async.data.plan",
        "event.data.n < async.data.n",
        "event.data.plan in ['free', 'pro']",
        "'plan' in event.data",
        "'a' in event.data.tags && !('z' in event.data.tags)",
        "has(event.data.plan) && !has(event.data.missing)",
        "event.data.tags.exists(t, t == 'b')",
        "event.data.numbers.all(n, n > 0)",
        "event.data.numbers.exists_one(n, n == 2)",
        "event.data.numbers.map(n, n * 2) == [2, 4, 6]",
        "event.data.numbers.filter(n, n > 1) == [2, 3]",
        "event.data.numbers.map(n, n > 1, n + 10) == [12, 13]",
        "event.data.deep.exists(k, k == 'x')",
        "event.data.yes ? event.data.n == 3 : false",
        "size(event.data.tags) == 2 && event.data.plan.size() == 3 && size(event.data.deep) == 1",
        "{'a': 1}.a == 1 && {'a': {'b': 2}} == {'a': {'b': 2.0}}",
        "type(event.data.plan) == string && type(event.data.tags) == list",
        "type(event.data.n) == double && type(1) == int && type(event.data.none) == null_type",
        "int(event.data.n) % 2 == 1 && int('7') == 7 && double('1.5') == 1.5 && string(3) == '3'",
        "[7][0] / 2 == 3 && {'a': 7}.a / 2 == 3 && [7].map(x, x / 2) == [3]",
        "event.data.n / 2 == 1.5 && 7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1",
        "b'ab' == bytes('ab') && string(b'ab') == 'ab' && size(b'ab') == 2",
        "event.data.plan.contains('r') && event.data.plan.matches('^p.o$')",
        "timestamp('2026-08-29T00:00:00Z').getFullYear() == 2026",
        "duration('1h') + duration('30m') == duration('90m')",
    ],
)
def test_standard_cel(text: str) -> None:
    """What standard CEL can do, expressions can do."""
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "1 == 1.0",
        "event.data.n == 3",
        "event.data.n == 3.0",
        "1 < 1.5 && 1.5 < 2 && 2 >= 2.0 && 2.0 <= 2 && 3 > 2.5",
        "1 + 0.5 == 1.5",
        "event.data.n + 1 == 4",
        "'order-' + event.data.n == 'order-3'",
        "event.data.n + '-order' == '3-order'",
        "'half: ' + event.data.half == 'half: 0.5'",
        "'x' + 1 == 'x1'",
        "'1' != 1 && !('1' == 1) && true != 1",
        "event.data.tags != 'a'",
        "[1, 2.0] == [1.0, 2]",
        "event.data.big == 12345678901234567",
        "event.data.big != 12345678901234568",
    ],
)
def test_mixed_types(text: str) -> None:
    """Integers and doubles compare and add up; a string and a number are joined; JSON numbers are doubles."""
    assert matches(text)


@pytest.mark.parametrize("missing", ["event.data.missing", "event.data.missing.deeper", "event.missing[0].x", "null"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M == null", True),
        ("null == M", True),
        ("M != null", False),
        ("M == 'x'", False),
        ("M == 0", False),
        ("M == false", False),
        ("M != 'x'", True),
        ("M < 1", True),
        ("M <= 'x'", True),
        ("M > 1", False),
        ("M >= 1", False),
        ("1 > M", True),
        ("'x' >= M", True),
        ("1 < M", False),
        ("M + 1", 1),
        ("'a' + M", "a"),
        ("M + 'a'", "a"),
        ("M + M", None),
        ("size(M)", 0),
        ("M.size()", 0),
        ("lowercase(M)", False),
        ("M.startsWith('a')", False),
        ("'a'.contains(M)", False),
        ("M.matches('a')", False),
        ("date(M)", False),
        ("int(M)", False),
        ("M - 1", False),
        ("M * 2", False),
        ("M in [1, 2]", False),
        ("1 in M", False),
        ("M.exists(x, x)", False),
        ("M.all(x, x)", False),
        ("M.map(x, x)", []),
    ],
)
def test_a_missing_key_is_null_like(missing: str, text: str, expected: object) -> None:
    """A key that is not there is no error: it is null, less than everything, and nothing to add."""
    assert value(text.replace("M", missing)) == expected
    assert type(value(text.replace("M", missing))) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.data.plan && event.data.n", True),
        ("event.data.empty && true", False),
        ("event.data.zero || event.data.empty", False),
        ("event.data.zero || event.data.plan", True),
        ("event.data.missing || event.data.tags", True),
        ("event.data.missing ? 1 : 2", 2),
        ("event.data.plan ? 1 : 2", 1),
        ("event.data.zero ? 1 : 2", 2),
        ("event.data.tags ? 1 : 2", 1),
        ("!event.data.missing", True),
        ("!event.data.plan", False),
        ("!event.data.zero", True),
        ("{} ? 1 : 2", 1),
        ("(0.0 / 0.0) ? 1 : 2", 2),
    ],
)
def test_truthiness_is_that_of_javascript(text: str, expected: object) -> None:
    """`&&`, `||`, `!` and `?:` take any value, and give true or false by JavaScript's rules."""
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "lowercase(event.user.email) == 'a@b.c'",
        "event.user.email.lowercase() == 'a@b.c'",
        "uppercase('abc') == 'ABC'",
        "b64decode(event.data.b64) == 'hello'",
        "b64decode('aGVsbG8') == 'hello'",
        "b64decode('w7_Dvw') == 'ÿÿ'",
        "json_parse(event.data.json).a[1].b == 'c'",
        "json_parse('3') == 3",
        "date(event.data.at) == date('2026-08-29T08:00:00Z')",
        "date('2026-08-29') < date('2026-08-30')",
        "date(event.ts) == now()",
        "date(1788000000) == now()",
        "now() == timestamp('2026-08-29T09:20:00Z')",
        "now_plus('1h') > now() && now_minus('1h') < now()",
        "now_plus('1h30m') - now() == duration('90m')",
        "date('2026-08-29T10:00:00Z') < now_plus('1d')",
    ],
)
def test_the_protocols_own_functions(text: str) -> None:
    """lowercase, uppercase, b64decode, json_parse, date, now, now_plus and now_minus; now is what the caller says."""
    text = text.replace("timestamp('2026-08-29T09:20:00Z')", f"date({NOW})")
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.n",
        "event.data.plan",
        "event.data.missing",
        "1",
        "'true'",
        "event.data.plan < 3",
        "event.data.plan - 1 == 0",
        "event.data.tags + 1 == 2",
        "lowercase(event.data.n) == '3'",
        "1 / 0 == 1",
        "1 % 0 == 1",
        "int('x') == 1",
        "json_parse('{') == 1",
        "b64decode('%%%') == ''",
        "date('yesterday') < now()",
        "now_plus('soon') > now()",
        "9223372036854775807 + 1 > 0",
        "event.data.plan.matches(event.data.plan + '(')",
        "event.data.n.exists(x, true)",
        "now_plus('500000w') > now()",
        "uint(-1) == 1",
        "string(b'\\xff') == ''",
        "now().getHours('Nowhere/City') >= 0",
        "{true: 1}[true] == 1",
    ],
)
def test_only_true_matches(text: str) -> None:
    """An expression that gives no bool, or an error, is no match."""
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("false && 1 / 0 == 1", False),
        ("1 / 0 == 1 && false", False),
        ("true || 1 / 0 == 1", True),
        ("1 / 0 == 1 || true", True),
        ("[0, 1].exists(x, 1 / x == 1)", True),
        ("[0, 2].all(x, 1 / x == 1)", False),
        ("true ? 1 : 1 / 0", 1),
    ],
)
def test_an_error_that_does_not_decide_is_forgotten(text: str, expected: object) -> None:
    """As in standard CEL, one side that decides makes the other's error not matter."""
    assert value(text) == expected


@pytest.mark.parametrize("text", ["1 / 0 == 1 && true", "1 / 0 == 1 || false", "[0].exists(x, 1 / x == 1)"])
def test_an_error_that_decides_stays(text: str) -> None:
    """When the other side cannot decide, the error is the outcome."""
    with pytest.raises(EvaluationFailed, match="division by zero"):
        value(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("event.data.x ==", "Syntax error"),
        ("event.data.x = 1", "Syntax error"),
        ("foo.bar == 1", "undeclared reference to 'foo'"),
        ("event.data.x.nosuch()", "undeclared reference to 'nosuch'"),
        ("lowercase()", "does not take 0 arguments"),
        ("lowercase('a', 'b')", "does not take 2 arguments"),
        ("google.protobuf.Timestamp{}", "use a map"),
        ("event.name.matches('(')", "missing )"),
        ("x" * (MAX_CHARACTERS + 1), "characters"),
        ("(" * 40 + "1" + ")" * 40, "recursion"),
        ("event\ud800", "Unicode"),
        ("event.data.all(x)", "undeclared reference to 'x'"),
        ("999999999999999999999 == 1", "invalid int literal"),
    ],
)
def test_what_does_not_compile_says_why(text: str, said: str) -> None:
    """A bad expression is refused with what is wrong."""
    with pytest.raises(InvalidExpression, match=said.replace(")", r"\)")):
        compile_expression(text)


def test_a_loop_over_too_much_ends() -> None:
    """Nested loops over a stranger's list stop at a bound instead of holding up all other events."""
    event: dict[str, object] = {"data": {"many": list(range(5000))}}
    expression = compile_expression("event.data.many.all(a, event.data.many.all(b, a + b >= 0))")
    with pytest.raises(EvaluationFailed, match="too long"):
        expression.value(event, None, NOW)


def test_text_cannot_be_grown_without_bound() -> None:
    """Joining text in a loop ends at a bound."""
    event: dict[str, object] = {"data": {"text": "x" * 100_000, "many": list(range(5000))}}
    expression = compile_expression("event.data.many.map(a, event.data.text + a).size() > 0")
    with pytest.raises(EvaluationFailed, match="too long"):
        expression.value(event, None, NOW)


@pytest.mark.parametrize("operator", ["==", "!=", "in"])
def test_comparing_what_grew_in_a_loop_costs_all_of_it(operator: str) -> None:
    """A list of ten thousand times the same list has a hundred million elements to compare, and little memory."""
    event: dict[str, object] = {"data": {"many": list(range(10_000))}}
    grown = "event.data.many.map(a, event.data.many)"
    expression = compile_expression(f"{grown} {operator} {grown}")
    with pytest.raises(EvaluationFailed, match="too long"):
        expression.value(event, None, NOW)


def test_comparing_long_texts_in_a_loop_ends() -> None:
    """A megabyte that is compared in every turn costs more than the turn."""
    event: dict[str, object] = {"data": {"text": "x" * 1_000_000, "many": list(range(50_000))}}
    expression = compile_expression("event.data.many.exists(a, event.data.text != event.data.text)")
    with pytest.raises(EvaluationFailed, match="too long"):
        expression.value(event, None, NOW)


def test_one_loop_over_a_large_event_is_allowed() -> None:
    """A list of tens of thousands is within the bound."""
    event: dict[str, object] = {"data": {"many": list(range(50_000))}}
    assert compile_expression("event.data.many.exists(a, a == 49999)").matches(event, None, NOW)


def test_a_regular_expression_cannot_explode() -> None:
    """Patterns that take exponential time elsewhere take linear time here."""
    event: dict[str, object] = {"data": {"text": "a" * 50_000 + "!"}}
    assert not compile_expression("event.data.text.matches('^(a+)+$')").matches(event, None, NOW)


def test_equal_evaluations_give_equal_values() -> None:
    """An expression keeps nothing from one evaluation to the next."""
    expression = compile_expression("event.data.numbers.map(n, n * 2)")
    assert expression.value(EVENT, None, NOW) == expression.value(EVENT, None, NOW) == [2.0, 4.0, 6.0]


def test_an_absent_async_event_is_missing() -> None:
    """Trigger expressions have no `async`: it is null-like, not an error."""
    assert compile_expression("async.data.x == null").matches(EVENT, None, NOW)
