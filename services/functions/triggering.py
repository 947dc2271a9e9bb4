"""Does an event trigger a function? The one answer for the matcher, who starts runs by it, and for people, who ask why
there is none.

Pure: time is the event's own, so `now()` in a trigger expression is the moment the event was received.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import orjson

from ..errors import InvalidExpression
from ..expressions.expression import Expression, compile_expression
from ..messages.records import Event
from .config import EventTrigger

MAX_COMPILED = 10_000


class Conditions:
    """Trigger expressions, compiled once per text; the least recently used are forgotten beyond a bound."""

    def __init__(self, most: int = MAX_COMPILED) -> None:
        self._most = most
        self._compiled: OrderedDict[str, Expression | None] = OrderedDict()

    def hold(self, text: str, content: Mapping[str, object], now_ms: int) -> bool:
        """True when the expression says so; one that does not compile, or fails on this event, matches nothing."""
        expression = self._expression(text)
        return expression is not None and expression.matches(content, None, now_ms)

    def meet(
        self, text: str, event: Mapping[str, object] | None, async_event: Mapping[str, object], now_ms: int
    ) -> bool:
        """Like `hold`, for the condition of a wait: over the run's own event and the one that came in."""
        expression = self._expression(text)
        return expression is not None and expression.matches(event, async_event, now_ms)

    def allow(self, trigger: EventTrigger, content: EventContent, received_at: int) -> bool:
        """True when the trigger has no expression, or one that holds for the event."""
        return not trigger.expression or self.hold(trigger.expression, content.get(), received_at)

    def _expression(self, text: str) -> Expression | None:
        if text in self._compiled:
            self._compiled.move_to_end(text)
            return self._compiled[text]
        try:
            expression = compile_expression(text)
        except InvalidExpression:  # registration refuses these; an older release may have let one in
            expression = None
        self._compiled[text] = expression
        if len(self._compiled) > self._most:
            self._compiled.popitem(last=False)
        return expression


class EventContent:
    """An event as expressions see it, decoded when the first of them asks."""

    __slots__ = ("_decoded", "_event")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._decoded: dict[str, object] | None = None

    def get(self) -> dict[str, object]:
        if self._decoded is None:
            event = self._event
            self._decoded = {
                "id": event.id or event.internal_id,
                "name": event.name,
                "data": orjson.loads(event.data) or {},
                "user": orjson.loads(event.user) or {},
                "ts": event.ts,
            }
            if event.v is not None:
                self._decoded["v"] = event.v
        return self._decoded


def event_json(event: Event) -> str:
    """The event in the shape that SDKs receive; payloads are passed on as they came."""
    shape: dict[str, object] = {
        "id": event.id or event.internal_id,
        "name": event.name,
        "data": _object(event.data),
        "user": _object(event.user),
        "ts": event.ts,
    }
    if event.v is not None:
        shape["v"] = event.v
    return orjson.dumps(shape).decode()


def _object(text: str) -> orjson.Fragment:
    """SDKs take objects only: null becomes an empty one."""
    return orjson.Fragment("{}" if text.strip() == "null" else text)
