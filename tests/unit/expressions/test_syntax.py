"""The tree, read from the parser's serialised form."""

from __future__ import annotations

import pytest

from penstock.expressions.syntax import Call, ListLiteral, Literal, MapLiteral, Name, Node, Select, parse

A = Name("a")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("null", Literal(None)),
        ("true", Literal(True)),
        ("false", Literal(False)),
        ("0", Literal(0)),
        ("-9223372036854775808", Literal(-(2**63))),
        ("9223372036854775807", Literal(2**63 - 1)),
        ("18446744073709551615u", Literal(2**64 - 1)),
        ("0x10", Literal(16)),
        ("-2.5e3", Literal(-2500.0)),
        ("'ü\\n'", Literal("ü\n")),
        ("''", Literal("")),
        ("b'\\xff'", Literal(b"\xff")),
        ("a", A),
        (".a", A),
        ("a.b.c", Select(Select(A, "b", False), "c", False)),
        ("has(a.b)", Select(A, "b", True)),
        ("a['b']", Call("_[_]", (A, Literal("b")))),
        ("a.f(1)", Call("f", (A, Literal(1)))),
        ("f(a, 1)", Call("f", (A, Literal(1)))),
        ("!a", Call("!_", (A,))),
        ("a ? 1 : 2", Call("_?_:_", (A, Literal(1), Literal(2)))),
        ("a in [1, '2']", Call("@in", (A, ListLiteral((Literal(1), Literal("2")))))),
        ("{'x': a, 1: []}", MapLiteral(((Literal("x"), A), (Literal(1), ListLiteral(()))))),
    ],
)
def test_every_kind_of_node(text: str, tree: Node) -> None:
    """Literals of every type and size, names, fields, calls, lists and maps."""
    assert parse(text) == tree


def test_literals_keep_their_type() -> None:
    """1, 1.0 and true are equal in Python, not in CEL."""
    kinds = [type(node.value) for node in map(parse, ("1", "1.0", "true")) if isinstance(node, Literal)]
    assert kinds == [int, float, bool]
