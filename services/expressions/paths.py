"""Paths into an incoming event, and the text that tells its scalar values apart: what waits are found by.

A path is written as in the expression, without `async.` before it: `data.user_id`, `data["user id"]`,
`data.items[0].id`. `.key` and `["key"]` stay two things, because expressions treat them differently where the container
is no map: `.key` gives null there, `["key"]` is an error and matches nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import orjson

from ..errors import InvalidExpression
from .syntax import Call, Literal, Name, Node, Select

Json = Mapping[str, object]

#: Longer texts are told apart by their hash, so that a value stays small whatever an event holds.
MAX_TEXT = 256
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP = re.compile(
    r'\.(?P<field>[A-Za-z_][A-Za-z0-9_]*)|\[(?:(?P<at>[0-9]{1,18})|(?P<key>"(?:[^"\\]|\\.)*"))\]', re.DOTALL
)
_ASYNC = Name("async")


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: a key of a map or a position in a list; `is_field` when written `.key`."""

    key: str | int
    is_field: bool

    def text(self) -> str:
        return f".{self.key}" if self.is_field else f"[{orjson.dumps(self.key).decode()}]"


def path_of(node: Node) -> str | None:
    """The path text of `async.<path>`; None for anything else, and for keys that are computed."""
    steps: list[Step] = []
    while node != _ASYNC:
        match node:
            case Select(operand, field, False) if _IDENTIFIER.fullmatch(field):
                steps.append(Step(field, is_field=True))
            case Call("_[_]", (operand, Literal(str(key)))):
                steps.append(Step(key, is_field=False))
            case Call("_[_]", (operand, Literal(int(key)))) if type(key) is int and 0 <= key < 10**18:
                steps.append(Step(key, is_field=False))
            case _:
                return None
        node = operand
    return "".join(step.text() for step in reversed(steps)).removeprefix(".") or None


@lru_cache(maxsize=4096)
def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path text; `InvalidExpression` when it is none."""
    text = path if path.startswith("[") else f".{path}"
    steps, at = [], 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise InvalidExpression(f"not a path into an event: {path[:200]!r}")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if found["field"] is not None:
        return Step(found["field"], is_field=True)
    return Step(int(found["at"]) if found["at"] is not None else str(orjson.loads(found["key"])), is_field=False)


def value_at(async_event: Json, path: str) -> str | None:
    """The canonical text of what an event holds at a path; None when no equality with a scalar can hold there.

    The empty path stands for "any event": its value is the empty text. The event is decoded JSON, `dict` all the way
    down.
    """
    if not path:
        return ""
    value = cast(object, async_event)
    for step in steps_of(path):
        if isinstance(value, dict):
            value = value.get(step.key)
        elif step.is_field or value is None:
            value = None
        elif isinstance(value, list) and isinstance(step.key, int):
            value = value[step.key] if step.key < len(value) else None
        else:
            return None
    return canonical(value)


def canonical(value: object) -> str | None:
    """A text that two scalars share exactly when expressions find them equal; None for what is no scalar, and for NaN.

    JSON, except for long texts and infinities: 1 and 1.0 are `1`, a missing key is `null`, texts have quotes.
    """
    match value:
        case str():
            return orjson.dumps(value).decode() if len(value) <= MAX_TEXT else _digest(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case _:
            return None


def _number(value: float) -> str | None:
    if value.is_integer():
        return str(int(value))
    return None if value != value else repr(value)


def _digest(text: str) -> str:
    return "text/" + hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=32).hexdigest()
