"""Conditions by which people look for runs and events: CEL over `event`, and over `output` where there is one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import EvaluationFailed, InvalidExpression
from .evaluation import Closure, Scope, build
from .expression import MAX_CHARACTERS
from .syntax import parse

EVENT = frozenset({"event"})
EVENT_AND_OUTPUT = frozenset({"event", "output"})


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled condition. Immutable."""

    text: str
    _closure: Closure = field(repr=False, compare=False)

    def holds(self, values: dict[str, object], now_ms: int) -> bool:
        """True only when the condition gives `true` for these decoded JSON values; an error is no match."""
        try:
            return self._closure(Scope(values, now_ms)) is True
        except EvaluationFailed:
            return False
        except Exception:  # a shape nobody thought of must cost one match, not the search
            return False


def compile_query(text: str, variables: frozenset[str]) -> Query:
    """Compile, or raise `InvalidExpression` with what is wrong and where."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidExpression(f"the condition has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    if not text.strip():
        raise InvalidExpression("the condition is empty; leave it out to find everything")
    tree = parse(text)
    try:
        return Query(text, build(tree, variables))
    except InvalidExpression as error:
        raise InvalidExpression(_with_place(str(error), text)) from error


def _with_place(message: str, text: str) -> str:
    """The parser says where it stumbled; of a name that nobody knows, only the text can tell."""
    unknown = re.match(r"undeclared reference to '(\w+)'", message)
    place = re.search(rf"\b{unknown[1]}\b", text) if unknown else None
    return message if place is None else f"at 1:{place.start() + 1}: {message}"
