"""The functions that an expression may call: CEL's standard ones and the protocol's.

Every function may be written `f(x)` or `x.f()`. With null for any argument (a missing key is null) a function gives
false, `size` gives 0: see the protocol. The wrong type is `EvaluationFailed`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from ..errors import EvaluationFailed
from .patterns import matches
from .times import duration_text, from_millis, timestamp_text, to_date, to_duration, to_timestamp, to_zone
from .values import TypeName, bounded_int, from_json, no_overload, number_text, type_name

Implementation = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Function:
    """A function by how many arguments it takes; `needs_now` puts the time (ms) before them."""

    run: Implementation
    fewest: int = 1
    most: int = 1
    needs_now: bool = False


def size(value: object) -> object:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload("size", value)


# ---- text


def _text(function: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise no_overload(function, value)


def _contains(text: object, part: object) -> bool:
    return _text("contains", part) in _text("contains", text)


def _starts_with(text: object, part: object) -> bool:
    return _text("startsWith", text).startswith(_text("startsWith", part))


def _ends_with(text: object, part: object) -> bool:
    return _text("endsWith", text).endswith(_text("endsWith", part))


def _matches(text: object, pattern: object) -> bool:
    return matches(_text("matches", text), _text("matches", pattern))


def _lowercase(text: object) -> str:
    return _text("lowercase", text).lower()


def _uppercase(text: object) -> str:
    return _text("uppercase", text).upper()


def _b64decode(text: object) -> str:
    """Standard or URL-safe alphabet, padding optional."""
    body = _text("b64decode", text).strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise EvaluationFailed(f"b64decode: not base64 of text: {error}") from error


def _json_parse(text: object) -> object:
    try:
        return from_json(orjson.loads(_text("json_parse", text)))
    except orjson.JSONDecodeError as error:
        raise EvaluationFailed(f"json_parse: {error}") from error


# ---- conversions


def _to_int(value: object) -> int:
    match value:
        case bool():
            raise no_overload("int", value)
        case int():
            return value
        case float():
            return _whole(value)
        case str():
            return _parsed_int(value)
        case datetime():
            return math.floor(value.timestamp())
        case _:
            raise no_overload("int", value)


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise EvaluationFailed("int: not a finite number")
    return bounded_int(int(value))


def _parsed_int(text: str) -> int:
    try:
        return bounded_int(int(text[:30], 10))
    except ValueError as error:
        raise EvaluationFailed(f"int: {text[:30]!r} is no integer") from error


def _to_uint(value: object) -> int:
    number = _to_int(value)
    if number < 0:
        raise EvaluationFailed("uint: the number is negative")
    return number


def _to_double(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise no_overload("double", value)
    try:
        return float(value)
    except ValueError as error:
        raise EvaluationFailed(f"double: {str(value)[:30]!r} is no number") from error


def _to_string(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case bytes():
            return _utf8(value)
        case datetime():
            return timestamp_text(value)
        case timedelta():
            return duration_text(value)
        case _:
            raise no_overload("string", value)


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationFailed("string: the bytes are not UTF-8") from error


def _to_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else _text("bytes", value).encode()


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "TRUE", "t", "1"):
        return True
    if value in ("false", "False", "FALSE", "f", "0"):
        return False
    raise no_overload("bool", value)


def _dyn(value: object) -> object:
    return value


def type_of(value: object) -> TypeName:
    return TypeName(type_name(value))


# ---- time


def _timestamp(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return to_timestamp(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_millis(value * 1000)
    raise no_overload("timestamp", value)


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else to_duration(_text("duration", value))


def _now(now_ms: int) -> datetime:
    return from_millis(now_ms)


def _now_plus(now_ms: int, duration: object) -> datetime:
    return _shifted(now_ms, _duration(duration))


def _now_minus(now_ms: int, duration: object) -> datetime:
    return _shifted(now_ms, -_duration(duration))


def _shifted(now_ms: int, by: timedelta) -> datetime:
    try:
        return from_millis(now_ms) + by
    except OverflowError as error:
        raise EvaluationFailed("the time lies outside the years 1 to 9999") from error


def _part(name: str, of_time: Callable[[datetime], int], seconds: int | None = None) -> Function:
    """A getter such as `getHours`: of a timestamp, in a zone if one is given; some also of a duration."""

    def get(value: object, zone: object = "UTC") -> int:
        if isinstance(value, datetime):
            return of_time(value.astimezone(to_zone(_text(name, zone))))
        if isinstance(value, timedelta) and seconds is not None:
            return int(value.total_seconds() / seconds)
        raise no_overload(name, value)

    return Function(get, 1, 2)


def _milliseconds(value: object, zone: object = "UTC") -> int:
    if isinstance(value, datetime | timedelta):
        micros = value.microsecond if isinstance(value, datetime) else value.microseconds
        return micros // 1000
    raise no_overload("getMilliseconds", value)


FUNCTIONS: dict[str, Function] = {
    "contains": Function(_contains, 2, 2),
    "startsWith": Function(_starts_with, 2, 2),
    "endsWith": Function(_ends_with, 2, 2),
    "matches": Function(_matches, 2, 2),
    "lowercase": Function(_lowercase),
    "uppercase": Function(_uppercase),
    "b64decode": Function(_b64decode),
    "json_parse": Function(_json_parse),
    "int": Function(_to_int),
    "uint": Function(_to_uint),
    "double": Function(_to_double),
    "string": Function(_to_string),
    "bytes": Function(_to_bytes),
    "bool": Function(_to_bool),
    "dyn": Function(_dyn),
    "date": Function(to_date),
    "timestamp": Function(_timestamp),
    "duration": Function(_duration),
    "now": Function(_now, 0, 0, needs_now=True),
    "now_plus": Function(_now_plus, needs_now=True),
    "now_minus": Function(_now_minus, needs_now=True),
    "getFullYear": _part("getFullYear", lambda t: t.year),
    "getMonth": _part("getMonth", lambda t: t.month - 1),
    "getDate": _part("getDate", lambda t: t.day),
    "getDayOfMonth": _part("getDayOfMonth", lambda t: t.day - 1),
    "getDayOfWeek": _part("getDayOfWeek", lambda t: t.isoweekday() % 7),
    "getDayOfYear": _part("getDayOfYear", lambda t: t.timetuple().tm_yday - 1),
    "getHours": _part("getHours", lambda t: t.hour, 3600),
    "getMinutes": _part("getMinutes", lambda t: t.minute, 60),
    "getSeconds": _part("getSeconds", lambda t: t.second, 1),
    "getMilliseconds": Function(_milliseconds, 1, 2),
}
