"""Which runs does an event start? Pure: equal events and equal tables give equal commands.

That equality is what makes "every command may arrive twice" hold: an event that is read again after a crash names the
same runs. So time is the event's own too: `now()` in a trigger expression is the moment the event was received.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import orjson

from ..errors import InvalidExpression
from ..expressions.expression import Expression, compile_expression
from ..functions.table import FunctionTable
from ..messages.ids import FunctionKey, run_id, ulid_millis
from ..messages.records import Event, StartRun

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


class _Content:
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


def match(event: Event, table: FunctionTable, conditions: Conditions) -> tuple[StartRun, ...]:
    """One start for every function that the event triggers, however many of its triggers match."""
    triggered = table.triggered_by(event.name)
    if not triggered:
        return ()
    content = _Content(event)
    functions: dict[FunctionKey, None] = {}
    for registered, trigger in triggered:
        key = registered.config.key
        if key in functions:
            continue
        if trigger.expression and not conditions.hold(trigger.expression, content.get(), event.received_at):
            continue
        functions[key] = None
    if not functions:
        return ()
    text = event_json(event)
    return tuple(_start(function, event, text, table.offset) for function in functions)


def _start(function: FunctionKey, event: Event, text: str, registry_offset: int) -> StartRun:
    own_id = event.id if event.id != event.internal_id else ""
    # An internal id that was sent again, with the sender's seed, has the same time in it but came at another one.
    made_at = event.received_at if own_id else ulid_millis(event.internal_id)
    return StartRun(
        run_id=run_id(function, own_id or event.internal_id, made_at),
        function=function,
        events=(text,),
        event_ids=(event.internal_id,),
        received_at=event.received_at,
        dedupe_key=own_id or None,
        start_at=event.ts if event.ts > event.received_at else 0,
        registry_offset=registry_offset,
    )
