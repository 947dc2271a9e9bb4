"""Compile an expression once, ask it about many events. What waits need of it besides is in `split`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import EvaluationFailed, InvalidExpression
from .evaluation import Closure, Scope, build
from .syntax import parse

MAX_CHARACTERS = 4096
VARIABLES = frozenset({"event", "async"})

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Immutable, and cheap to keep: whoever uses it often caches it."""

    text: str
    _closure: Closure = field(repr=False, compare=False)

    def value(self, event: Json | None, async_event: Json | None, now_ms: int) -> object:
        """What the expression gives for these events; `EvaluationFailed` when it gives nothing.

        Both are decoded JSON objects (`dict` all the way down). Never raises anything else, and ends within a bounded
        number of steps, whatever the events hold.
        """
        try:
            return self._closure(Scope({"event": event, "async": async_event}, now_ms))
        except (EvaluationFailed, MemoryError):
            raise
        except Exception as error:  # a shape nobody thought of must cost one match, not the service
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from error

    def matches(self, event: Json | None, async_event: Json | None, now_ms: int) -> bool:
        """True only when the value is `true`: an error, null or any other value is no match."""
        try:
            return self.value(event, async_event, now_ms) is True
        except EvaluationFailed:
            return False


def compile_expression(text: str) -> Expression:
    """Compile, or raise `InvalidExpression` with what is wrong and where.

    Bounds: `MAX_CHARACTERS`, and the parser's own nesting of 32.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidExpression(f"the expression has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    if not text.strip():
        raise InvalidExpression("the expression is empty; leave it out to match every event")
    return Expression(text, build(parse(text), VARIABLES))
