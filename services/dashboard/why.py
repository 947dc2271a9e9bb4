"""Why a function did not run for an event. Asked by a person, answered from the very functions that the matcher uses.

Pure: rows and tables in, words out. Costs the hot path nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from ..errors import EvaluationFailed, InvalidExpression
from ..expressions.expression import compile_expression
from ..functions.config import CronTrigger, EventTrigger, FunctionConfig
from ..functions.flow_control import FlowControl
from ..functions.table import FunctionTable
from ..functions.triggering import Conditions, EventContent
from ..messages.ids import FunctionKey
from ..messages.records import Event

Verdict = Literal["started", "resumed", "expected", "prevented", "condition", "name", "unregistered"]
ORDER: tuple[Verdict, ...] = ("started", "resumed", "expected", "prevented", "condition", "unregistered", "name")
DEDUPE_MS = 24 * 3600 * 1000
SIMILAR = 0.75


@dataclass(frozen=True, slots=True)
class Reason:
    """One function's answer."""

    function: FunctionKey
    name: str
    verdict: Verdict
    words: str
    parts: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the event: who it started and resumed, and how far the matcher has come."""

    started: dict[str, tuple[str, ...]]
    resumed: dict[str, tuple[str, ...]]
    earlier: dict[str, str]
    """For functions that took an earlier event with the same id: that event's internal id."""
    unmatched: bool
    now: int


def reasons(event: Event, table: FunctionTable, around: Circumstances) -> list[Reason]:
    """Every registered function with its answer, what happened first."""
    conditions, content = Conditions(), EventContent(event)
    triggered = {registered.config.key for registered, _ in table.triggered_by(event.name)}
    found = [
        _reason(event, table, registered.config, registered.config.key in triggered, conditions, content, around)
        for registered in table.functions()
    ]
    return sorted(found, key=lambda reason: (ORDER.index(reason.verdict), reason.function))


def _reason(
    event: Event,
    table: FunctionTable,
    config: FunctionConfig,
    named: bool,
    conditions: Conditions,
    content: EventContent,
    around: Circumstances,
) -> Reason:
    key = config.key
    if key in around.started:
        return Reason(key, config.name, "started", "It ran.", runs=around.started[key])
    if key in around.resumed:
        return Reason(key, config.name, "resumed", "A run of it was waiting and went on.", runs=around.resumed[key])
    if not named:
        return Reason(key, config.name, "name", _other_names(event.name, config))
    triggers = _event_triggers(event.name, table, key)
    if not any(conditions.allow(trigger, content, event.received_at) for trigger in triggers):
        return _by_condition(event, config, triggers, content)
    record = table.record(key)
    if record is not None and record.version == 1 and record.registered_at > event.received_at:
        words = "It was registered only after the event had come; a replay runs it."
        return Reason(key, config.name, "unregistered", words)
    return _otherwise(event, config, around)


def _event_triggers(name: str, table: FunctionTable, key: FunctionKey) -> list[EventTrigger]:
    return [trigger for registered, trigger in table.triggered_by(name) if registered.config.key == key]


def _other_names(name: str, config: FunctionConfig) -> str:
    names = [trigger.event for trigger in config.triggers if isinstance(trigger, EventTrigger)]
    crons = [trigger.cron for trigger in config.triggers if isinstance(trigger, CronTrigger)]
    if not names:
        return f"It runs by the clock ({', '.join(crons)}), not by events." if crons else "It has no trigger."
    similar = difflib.get_close_matches(name, names, 1, SIMILAR)
    hint = f" Did you mean {similar[0]}?" if similar else ""
    return f"It is triggered by {', '.join(names[:5])}.{hint}"


def _by_condition(
    event: Event, config: FunctionConfig, triggers: Sequence[EventTrigger], content: EventContent
) -> Reason:
    parts = [part for trigger in triggers if trigger.expression for part in _parts(trigger.expression, content, event)]
    return Reason(config.key, config.name, "condition", "The name fits, its condition does not hold.", tuple(parts))


def _parts(expression: str, content: EventContent, event: Event) -> list[tuple[str, str]]:
    """Each part of a conjunction with what it gives for this event."""
    return [(part, _value(part, content, event)) for part in conjuncts(expression)]


def _value(part: str, content: EventContent, event: Event) -> str:
    try:
        value = compile_expression(part).value(content.get(), None, event.received_at)
    except (InvalidExpression, EvaluationFailed) as error:
        return f"fails: {error}"
    return orjson.dumps(value, default=str).decode()[:100]


def conjuncts(expression: str) -> list[str]:
    """The parts between top-level `&&`; the whole where there are none, or where a part alone does not compile."""
    parts, depth, quote, begin, at = [], 0, "", 0, 0
    while at < len(expression):
        letter = expression[at]
        if quote:
            at += letter == "\\"
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif depth == 0 and expression.startswith("&&", at):
            parts.append(expression[begin:at].strip())
            begin = at + 2
            at += 1
        at += 1
    parts.append(expression[begin:].strip())
    # `a || b && c` is no conjunction: && binds tighter there.
    whole = any("||" in part or "?" in part for part in parts) or not all(map(_compiles, parts))
    return [expression] if whole else parts


def _compiles(part: str) -> bool:
    try:
        compile_expression(part)
    except InvalidExpression:
        return False
    return True


def _otherwise(event: Event, config: FunctionConfig, around: Circumstances) -> Reason:
    key, name = config.key, config.name
    if around.unmatched:
        return Reason(key, name, "expected", "The matcher has not come to this event yet: see Streams for its lag.")
    if key in around.earlier:
        words = f"An event with the same id ({event.id}) started it within the 24 hours before."
        return Reason(key, name, "prevented", words, runs=())
    if event.ts > around.now:
        return Reason(key, name, "expected", "The event's own time lies ahead: the run starts then.")
    limits = _limits(config)
    if limits:
        return Reason(key, name, "prevented", f"It is triggered, but {limits} may hold it back or have dropped it.")
    return Reason(key, name, "expected", "It is triggered: the run appears as soon as an executor has started it.")


def _limits(config: FunctionConfig) -> str:
    flow = FlowControl.from_raw(config.raw)
    named: Iterable[tuple[str, object]] = (
        ("its rate limit", flow.rate_limit),
        ("its idempotency key", flow.idempotency),
        ("its debounce", flow.debounce),
        ("its batch", flow.batch_events),
        ("its throttle", flow.throttle),
        ("its singleton", flow.singleton),
        ("its concurrency limit", flow.concurrency),
    )
    return " or ".join(name for name, limit in named if limit)
