"""A syntax tree, turned once into nested Python closures: `closure(scope)` gives the value.

It says exactly what the protocol says about missing keys, mixed types and truth, and costs less than crossing into the
C++ evaluator (docs/decisions/030).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from ..errors import EvaluationFailed, InvalidExpression
from . import library
from .patterns import check_pattern
from .syntax import Call, Comprehension, ListLiteral, Literal, MapLiteral, Name, Node, Select
from .values import (
    TypeName,
    add,
    arithmetic,
    bounded_int,
    equal,
    from_json,
    greater,
    greater_equal,
    is_number,
    less,
    less_equal,
    no_overload,
    truthy,
)

#: What one evaluation may cost: a loop's turn costs 10, 64 characters of text or one list element cost 1.
MAX_COST = 1_000_000
_TURN, _CHARACTERS = 10, 64
_LARGE = frozenset((str, bytes, list, dict))
#: The parser's name for what a macro accumulates; no text of a user can say it.
_RESULT = "@result"
_TYPES = {
    name: TypeName(name)
    for name in ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint")
}


@dataclass(slots=True)
class Scope:
    """What one evaluation knows and may still spend."""

    variables: dict[str, object]
    now_ms: int
    left: int = MAX_COST

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise EvaluationFailed("the expression takes too long on this event")


Closure = Callable[[Scope], object]


def build(node: Node, names: frozenset[str]) -> Closure:
    """The closure of a tree in which `names` are known; anything unknown is `InvalidExpression`."""
    match node:
        case Literal(value):
            return _constant(value)
        case Name(name):
            return _variable(name, names)
        case Select():
            return _select(node, names)
        case Call():
            return _call(node, names)
        case ListLiteral(elements):
            return _list([build(element, names) for element in elements])
        case MapLiteral(entries):
            return _map([(build(key, names), build(value, names)) for key, value in entries])
        case Comprehension():
            return _comprehension(node, names)
        case _:
            assert_never(node)


def _constant(value: object) -> Closure:
    return lambda scope: value


def _variable(name: str, names: frozenset[str]) -> Closure:
    if name == _RESULT:
        return _result_so_far
    if name in names:
        return lambda scope: scope.variables[name]
    if name in _TYPES:
        return _constant(_TYPES[name])
    raise InvalidExpression(f"undeclared reference to {name!r}: known are {', '.join(sorted(names))}")


def _result_so_far(scope: Scope) -> object:
    """What a loop has accumulated: an error in one turn stays until a later turn makes it good."""
    value = scope.variables[_RESULT]
    if isinstance(value, EvaluationFailed):
        raise value
    return value


def _select(node: Select, names: frozenset[str]) -> Closure:
    operand, field = build(node.operand, names), node.field
    if node.presence:

        def has(scope: Scope) -> object:
            value = operand(scope)
            return type(value) is dict and field in value

        return has

    found = _finder(node.operand)

    def select(scope: Scope) -> object:
        value = operand(scope)
        return found(value.get(field)) if type(value) is dict else None

    return select


def _finder(container: Node) -> Callable[[object], object]:
    """How a value found inside is taken: numbers inside events are JSON's, those of the expression are as written."""
    return _as_written if isinstance(container, ListLiteral | MapLiteral | Comprehension) else from_json


def _as_written(value: object) -> object:
    return value


def _list(elements: list[Closure]) -> Closure:
    return lambda scope: [element(scope) for element in elements]


def _map(entries: list[tuple[Closure, Closure]]) -> Closure:
    return lambda scope: {_map_key(key(scope)): value(scope) for key, value in entries}


def _map_key(key: object) -> str | int | float:
    if isinstance(key, str | int | float) and not isinstance(key, bool):
        return key
    raise no_overload("map key", key)


# ---- calls


def _call(node: Call, names: frozenset[str]) -> Closure:
    arguments = [build(argument, names) for argument in node.arguments]
    match node.function, arguments:
        case "_+_", [left, right]:
            return _append(right) if _is_append(node) else _plus(left, right)
        case "_&&_", [left, right]:
            return _both(left, right)
        case "_||_", [left, right]:
            return _either(left, right)
        case "_?_:_", [condition, then, otherwise]:
            return lambda scope: then(scope) if truthy(condition(scope)) else otherwise(scope)
        case "!_", [operand]:
            return lambda scope: not truthy(operand(scope))
        case "-_", [operand]:
            return lambda scope: _negative(operand(scope))
        case "@not_strictly_false", [operand]:
            return _not_strictly_false(operand)
        case "_[_]", [container, key]:
            return _index(container, key, _finder(node.arguments[0]))
        case name, [left, right] if name in _OPERATORS:
            return _operator(_OPERATORS[name], left, right)
        case name, [operand] if name in _NULL_AWARE:
            function = _NULL_AWARE[name]
            return lambda scope: function(operand(scope))
        case _:
            return _function(node, arguments)


def _plus(left: Closure, right: Closure) -> Closure:
    def plus(scope: Scope) -> object:
        result = add(left(scope), right(scope))
        if isinstance(result, str | bytes | list):
            scope.spend(len(result) // (1 if isinstance(result, list) else _CHARACTERS))
        return result

    return plus


def _is_append(node: Call) -> bool:
    """The step of `map` and `filter`."""
    first, second = node.arguments
    return first == Name(_RESULT) and isinstance(second, ListLiteral)


def _append(elements: Closure) -> Closure:
    """Adds in place to the list that the macro started, instead of copying it in every turn."""

    def append(scope: Scope) -> object:
        result, more = _result_so_far(scope), elements(scope)
        assert isinstance(result, list)
        assert isinstance(more, list)
        result += more
        return result

    return append


def _both(left: Closure, right: Closure) -> Closure:
    """`&&`: false on either side decides, even against an error on the other."""

    def both(scope: Scope) -> bool:
        try:
            if not truthy(left(scope)):
                return False
        except EvaluationFailed:
            if truthy(right(scope)):
                raise
            return False
        return truthy(right(scope))

    return both


def _either(left: Closure, right: Closure) -> Closure:
    """`||`: true on either side decides, even against an error on the other."""

    def either(scope: Scope) -> bool:
        try:
            if truthy(left(scope)):
                return True
        except EvaluationFailed:
            if not truthy(right(scope)):
                raise
            return True
        return truthy(right(scope))

    return either


def _not_strictly_false(operand: Closure) -> Closure:
    """Keeps a macro's loop going: an error in one turn may be made good by a later one."""

    def going(scope: Scope) -> bool:
        try:
            return operand(scope) is not False
        except EvaluationFailed:
            return True

    return going


def _operator(operate: Callable[[object, object], object], left: Closure, right: Closure) -> Closure:
    def evaluate(scope: Scope) -> object:
        first, second = left(scope), right(scope)
        for value in (first, second):
            if type(value) in _LARGE:
                scope.spend(_weight(value, scope.left))
        return operate(first, second)

    return evaluate


def _weight(value: object, most: int) -> int:
    """What looking at all of a value costs, its inside included; no longer counted once it is more than `most`."""
    weight, level = 0, [value]
    while level and weight <= most:
        inside: list[object] = []
        for each in level:
            if isinstance(each, list | dict):
                weight += len(each)
                inside += (inner for inner in _members(each) if type(inner) in _LARGE)
            elif isinstance(each, str | bytes):
                weight += len(each) // _CHARACTERS
            if weight > most:
                break
        level = inside
    return weight


def _members(value: list[object] | dict[object, object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _function(node: Call, arguments: list[Closure]) -> Closure:
    function = library.FUNCTIONS.get(node.function)
    if function is None:
        raise InvalidExpression(f"undeclared reference to {node.function!r}")
    if not function.fewest <= len(arguments) <= function.most:
        raise InvalidExpression(f"{node.function} does not take {len(arguments)} arguments")
    if node.function == "matches" and isinstance(pattern := node.arguments[1], Literal):
        check_pattern(str(pattern.value))
    return _timed(function, arguments) if function.needs_now else _plain(function, arguments)


def _timed(function: library.Function, arguments: list[Closure]) -> Closure:
    def evaluate(scope: Scope) -> object:
        values = _spent(scope, arguments)
        return False if None in values else function.run(scope.now_ms, *values)

    return evaluate


def _plain(function: library.Function, arguments: list[Closure]) -> Closure:
    def evaluate(scope: Scope) -> object:
        values = _spent(scope, arguments)
        return False if None in values else function.run(*values)

    return evaluate


def _spent(scope: Scope, arguments: list[Closure]) -> list[object]:
    values = [argument(scope) for argument in arguments]
    for value in values:
        if isinstance(value, str):
            scope.spend(len(value) // _CHARACTERS)
    return values


# ---- operators


def _unequal(left: object, right: object) -> bool:
    return not equal(left, right)


def _index(container: Closure, key: Closure, found: Callable[[object], object]) -> Closure:
    return lambda scope: found(_at(container(scope), key(scope)))


def _at(container: object, key: object) -> object:
    if container is None or key is None:
        return None
    if isinstance(container, dict):
        return container.get(_map_key(key))
    if isinstance(container, list) and is_number(key):
        assert isinstance(key, int | float)
        return container[int(key)] if key == key // 1 and 0 <= key < len(container) else None
    raise no_overload("[]", container, key)


def _within(value: object, container: object) -> bool:
    if container is None:
        return False
    if isinstance(container, dict):
        return value is not None and _map_key(value) in container
    if isinstance(container, list):
        return any(equal(value, element) for element in container)
    raise no_overload("in", value, container)


def _negative(value: object) -> object:
    if value is None:
        return False
    return arithmetic(0.0 if isinstance(value, float) else 0, value, lambda a, b: a - b)


def _subtract(left: object, right: object) -> object:
    if left is None or right is None:
        return False
    if is_number(left):
        return arithmetic(left, right, lambda a, b: a - b)
    match left, right:
        case (datetime(), datetime()):
            return left - right
        case (datetime() | timedelta(), timedelta()):
            return left - right
        case _:
            raise no_overload("-", left, right)


def _multiply(left: object, right: object) -> object:
    return False if left is None or right is None else arithmetic(left, right, lambda a, b: a * b)


def _divide(left: object, right: object) -> object:
    if left is None or right is None:
        return False
    return arithmetic(left, right, _quotient)


def _quotient(left: int | float, right: int | float) -> int | float:
    """Integers divide towards zero; a double divided by zero is an infinity or NaN, as IEEE 754 has it."""
    if right == 0:
        if isinstance(left, int) and isinstance(right, int):
            raise EvaluationFailed("division by zero")
        return float("nan") if left == 0 or left != left else float("inf") * left
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: object, right: object) -> object:
    if left is None or right is None:
        return False
    if not (_is_whole(left) and _is_whole(right)):
        raise no_overload("%", left, right)
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    if right == 0:
        raise EvaluationFailed("modulus by zero")
    left, right = int(left), int(right)
    return bounded_int(abs(left) % abs(right) * (-1 if left < 0 else 1))


def _is_whole(value: object) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


_OPERATORS: dict[str, Callable[[object, object], object]] = {
    "_==_": equal,
    "_!=_": _unequal,
    "_<_": less,
    "_<=_": less_equal,
    "_>_": greater,
    "_>=_": greater_equal,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _remainder,
    "@in": _within,
}


def _size(value: object) -> object:
    return 0 if value is None else library.size(value)


_NULL_AWARE: dict[str, Callable[[object], object]] = {"size": _size, "type": library.type_of}


# ---- macros


def _comprehension(node: Comprehension, names: frozenset[str]) -> Closure:
    """`exists`, `all`, `exists_one`, `map`, `filter`: over a list's elements or a map's keys."""
    over, start = build(node.over, names), build(node.start, names)
    inner = names | {node.variable, node.accumulator}
    condition, step = build(node.condition, inner), build(node.step, inner)
    result, found = build(node.result, inner), _finder(node.over)

    def evaluate(scope: Scope) -> object:
        elements = _elements(over(scope))
        first = start(scope)
        if elements is None:
            return first if isinstance(first, list) else False
        outer = scope.variables
        scope.variables = here = {**outer, node.accumulator: first}
        try:
            for element in elements:
                scope.spend(_TURN)
                here[node.variable] = found(element)
                if condition(scope) is False:
                    break
                try:
                    here[node.accumulator] = step(scope)
                except EvaluationFailed as error:
                    here[node.accumulator] = error
            return result(scope)
        finally:
            scope.variables = outer

    return evaluate


def _elements(value: object) -> list[object] | None:
    if value is None or isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value)
    raise no_overload("macro", value)
