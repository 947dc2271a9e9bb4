"""The syntax tree of an expression, as the CEL library's parser sees it.

The parser is Google's (C++); it bounds nesting itself, and macros such as `has` and `exists` are already expanded.
It hands out its tree as a serialised `cel.expr.ParsedExpr`; the few message types of it are read here, so that the
tree is plain Python and no generated code is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from cel_expr_python import cel

from ..errors import InvalidExpression

MAX_MESSAGE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)` when `presence`."""

    operand: Node
    field: str
    presence: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function, method or operator; operators carry names such as `_==_`. A method's target is the first argument."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral:
    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """A loop that a macro stands for: `accumulator` starts as `start`, is replaced by `step` while `condition`."""

    variable: str
    over: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Literal | Name | Select | Call | ListLiteral | MapLiteral | Comprehension


def parse(text: str) -> Node:
    """The expression's tree; `InvalidExpression` carries what the parser says."""
    try:
        message = _parser().compile(text, disable_check=True).serialize()
    except Exception as error:  # the binding raises RuntimeError or TypeError, depending on what is wrong
        raise InvalidExpression(_told(error)) from error
    parsed = _one(message, 2)  # Any.value
    return _node(_one(parsed, 2))  # ParsedExpr.expr


@cache
def _parser() -> cel.Env:
    return cel.NewEnv()


def _told(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "not a CEL expression: the text holds characters that are no Unicode text"
    text = str(error).removesuffix(" [INVALID_ARGUMENT]").removesuffix(" [CANCELLED]")
    for noise in ("INVALID_ARGUMENT: ", "CANCELLED: ", "ERROR: <input>:4294967295:0: "):
        text = text.removeprefix(noise)
    return "not a CEL expression: " + text.replace("ERROR: <input>:", "at ")[:MAX_MESSAGE_CHARACTERS]


# ---- the wire format of `cel/expr/syntax.proto`, as far as it is used

Field = tuple[int, int | bytes]
_SELECT_PRESENCE = 3


def _fields(message: bytes) -> Iterator[Field]:
    """Field numbers and values of a protobuf message: varints as they are, everything else as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        else:
            size, at = _varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
            yield tag >> 3, message[at : at + size]
            at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _one(message: bytes, number: int) -> bytes:
    for field, value in _fields(message):
        if field == number and isinstance(value, bytes):
            return value
    return b""


def _all(message: bytes, number: int) -> tuple[bytes, ...]:
    return tuple(value for field, value in _fields(message) if field == number and isinstance(value, bytes))


def _text(message: bytes, number: int) -> str:
    return _one(message, number).decode()


def _node(message: bytes) -> Node:
    for field, value in _fields(message):
        reader = _READERS.get(field)
        if reader is not None and isinstance(value, bytes):
            return reader(value)
    raise InvalidExpression("not a CEL expression: it is empty")


def _literal(message: bytes) -> Node:
    for field, value in _fields(message):
        if isinstance(value, int):
            return Literal(_number_literal(field, value))
        return Literal(_bytes_literal(field, value))
    return Literal(None)


def _number_literal(field: int, value: int) -> bool | int | None:
    if field == 2:
        return value != 0
    if field == 3 and value >= 1 << 63:
        return value - (1 << 64)
    return value if field in (3, 4) else None


def _bytes_literal(field: int, value: bytes) -> float | str | bytes:
    if field == 5:
        number: float = struct.unpack("<d", value)[0]
        return number
    return value.decode() if field == 6 else value


def _name(message: bytes) -> Node:
    return Name(_text(message, 1).removeprefix("."))


def _select(message: bytes) -> Node:
    presence = any(field == _SELECT_PRESENCE and value == 1 for field, value in _fields(message))
    return Select(_node(_one(message, 1)), _text(message, 2), presence)


def _call(message: bytes) -> Node:
    arguments = (*_all(message, 1), *_all(message, 3))
    return Call(_text(message, 2), tuple(_node(argument) for argument in arguments))


def _list(message: bytes) -> Node:
    return ListLiteral(tuple(_node(element) for element in _all(message, 1)))


def _map(message: bytes) -> Node:
    if _one(message, 1):
        raise InvalidExpression(f"{_text(message, 1)}{{…}}: message types are not available; use a map")
    return MapLiteral(tuple((_node(_one(e, 3)), _node(_one(e, 4))) for e in _all(message, 2)))


def _comprehension(message: bytes) -> Node:
    over, start, condition, step, result = (_node(_one(message, number)) for number in (2, 4, 5, 6, 7))
    return Comprehension(_text(message, 1), over, _text(message, 3), start, condition, step, result)


_READERS: dict[int, Callable[[bytes], Node]] = {
    3: _literal,
    4: _name,
    5: _select,
    6: _call,
    7: _list,
    8: _map,
    9: _comprehension,
}
