"""What expressions compute with, and how two such values compare.

Values are what JSON holds (`None`, `bool`, numbers, `str`, `list`, `dict`) and CEL's own `bytes`, timestamps, durations
and types. A key that is not there is `None`: missing and null are one value, which never makes an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast

from ..errors import EvaluationFailed

MAX_INT, MIN_INT = (1 << 63) - 1, -(1 << 63)
#: Integers beyond this are not exact as doubles; they stay integers, so that large ids still compare exactly.
EXACT_DOUBLE = 1 << 53
MAX_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class TypeName:
    """What `type(x)` gives."""

    name: str


_TYPE_NAMES: dict[type, str] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    datetime: "google.protobuf.Timestamp",
    timedelta: "google.protobuf.Duration",
    TypeName: "type",
}


def type_name(value: object) -> str:
    """CEL's name for the type of a value."""
    return _TYPE_NAMES.get(type(value), "unknown")


def from_json(value: object) -> object:
    """A value found inside an event: JSON numbers are doubles."""
    if type(value) is int and -EXACT_DOUBLE <= value <= EXACT_DOUBLE:
        return float(value)
    return value


def truthy(value: object) -> bool:
    """JavaScript's truth: false, null, 0, NaN and the empty string are false, all else is true."""
    if value is True or value is False:
        return value
    if value is None or value == "":
        return False
    if isinstance(value, int | float):
        return value == value and value != 0
    return True


def is_number(value: object) -> bool:
    return type(value) is float or type(value) is int


def equal(left: object, right: object) -> bool:
    """Equality across types: numbers by value, everything else only with its own type; no error."""
    kind = type(left)
    if kind is not type(right):
        return is_number(left) and is_number(right) and left == right
    if kind is list:
        return _equal_lists(left, right)
    if kind is dict:
        return _equal_maps(left, right)
    return left == right


def _equal_lists(left: object, right: object) -> bool:
    assert isinstance(left, list)
    assert isinstance(right, list)
    return len(left) == len(right) and all(map(equal, left, right))


def _equal_maps(left: object, right: object) -> bool:
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    return len(left) == len(right) and all(key in right and equal(left[key], right[key]) for key in left)


class _Ordered(Protocol):
    def __lt__(self, other: object, /) -> bool: ...

    def __le__(self, other: object, /) -> bool: ...


def less(left: object, right: object) -> bool:
    """`<`: null is less than anything that is not null; other mixed kinds, numbers apart, are an error."""
    if left is None or right is None:
        return left is None and right is not None
    return _ordered(left, right) < right


def less_equal(left: object, right: object) -> bool:
    """`<=`, by the same rules as `less`."""
    if left is None or right is None:
        return left is None
    return _ordered(left, right) <= right


def _ordered(left: object, right: object) -> _Ordered:
    same = type(left) is type(right) and isinstance(left, str | bytes | int | float | datetime | timedelta)
    if not same and not (is_number(left) and is_number(right)):
        raise no_overload("comparison", left, right)
    return cast(_Ordered, left)


def greater(left: object, right: object) -> bool:
    return less(right, left)


def greater_equal(left: object, right: object) -> bool:
    return less_equal(right, left)


def add(left: object, right: object) -> object:
    """`+`: null gives the other operand; a string and a number are joined as text."""
    if left is None:
        return right
    if right is None:
        return left
    if isinstance(left, str) or isinstance(right, str):
        return bounded(_joinable(left, right) + _joinable(right, left))
    if is_number(left) and is_number(right):
        return arithmetic(left, right, lambda a, b: a + b)
    return _add_others(left, right)


def _joinable(value: object, other: object) -> str:
    if isinstance(value, str):
        return value
    if is_number(value):
        return number_text(value)
    raise no_overload("+", value, other)


def _add_others(left: object, right: object) -> object:
    match left, right:
        case (list(), list()):
            return left + right
        case (bytes(), bytes()):
            return left + right
        case (datetime(), timedelta()):
            return left + right
        case (timedelta(), datetime()):
            return right + left
        case (timedelta(), timedelta()):
            return left + right
        case _:
            raise no_overload("+", left, right)


def arithmetic(
    left: object, right: object, operation: Callable[[int | float, int | float], int | float]
) -> int | float:
    """Integers stay integers (within 64 bits, else an error); with a double, the result is a double."""
    if not (is_number(left) and is_number(right)):
        raise no_overload("arithmetic", left, right)
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    result = operation(left, right)
    return bounded_int(result) if isinstance(result, int) else result


def bounded_int(value: int) -> int:
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationFailed("integer overflow")


def bounded(text: str) -> str:
    """Text no longer than an event may be: an expression must not make memory of nothing."""
    if len(text) <= MAX_TEXT:
        return text
    raise EvaluationFailed(f"the text grows beyond {MAX_TEXT} characters")


def number_text(value: object) -> str:
    """A number as people write it: `3`, not `3.0`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def no_overload(function: str, *arguments: object) -> EvaluationFailed:
    """The error for arguments of the wrong type."""
    types = ", ".join(map(type_name, arguments))
    return EvaluationFailed(f"no such overload: {function}({types})")
