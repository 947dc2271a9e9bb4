"""Which of the events on the topics a replay is for. Pure.

A replay asks as a live event would be asked: the function's triggers name the events, and their expressions decide.
Naming the events (`event`) asks only for those, also for names that no trigger of the function has: then there is no
expression that could decide. `ignore_triggers` leaves the expressions out, never the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import InvalidInput
from ..expressions.expression import Expression, compile_expression
from ..functions.config import EventTrigger, FunctionConfig
from ..functions.triggering import Conditions, EventContent
from ..messages.incoming import RESERVED_PREFIX
from ..messages.records import Event, Replay

Name = str
"""An event's name; with `*` after a `/` or `.` at its end, every name that begins like it."""


class Selection:
    """The events that one replay is for."""

    def __init__(self, replay: Replay, function: FunctionConfig) -> None:
        self._replay = replay
        self._triggers = [t for t in function.triggers if isinstance(t, EventTrigger)]
        self._condition: Expression | None = compile_expression(replay.condition) if replay.condition else None
        self._conditions = Conditions()

    def in_time(self, written_at: int) -> bool:
        """Was the record written within the replay's times?"""
        replay = self._replay
        return written_at >= replay.from_at and (not replay.to_at or written_at < replay.to_at)

    def wants(self, event: Event) -> bool:
        """Does the replay start a run for this event?"""
        if self._replay.event and not covers(self._replay.event, event.name):
            return False
        content = EventContent(event)
        return self._triggered(event, content) and self._holds(event, content)

    def _triggered(self, event: Event, content: EventContent) -> bool:
        named = [trigger for trigger in self._triggers if covers(trigger.event, event.name)]
        if not named:
            return bool(self._replay.event)
        if self._replay.ignore_triggers:
            return True
        return any(self._conditions.allow(trigger, content, event.received_at) for trigger in named)

    def _holds(self, event: Event, content: EventContent) -> bool:
        return self._condition is None or self._condition.matches(content.get(), None, event.received_at)


def names(event: str, function: FunctionConfig) -> Sequence[Name]:
    """Names of the events to look for; `InvalidInput` when nothing names any."""
    if event:
        return (event,)
    found = tuple(trigger.event for trigger in function.triggers if isinstance(trigger, EventTrigger))
    if not found:
        raise InvalidInput(f"{function.key} has no event trigger: name the events that it is to run for")
    return found


def topics(wanted: Sequence[Name], events: str, internal_events: str) -> Iterator[str]:
    """The topics on which events of these names can be: the system's own have a topic for themselves."""
    internal = [name for name in wanted if name.lower().startswith(RESERVED_PREFIX)]
    if len(internal) < len(wanted):
        yield events
    if internal:
        yield internal_events


def covers(wanted: Name, name: str) -> bool:
    """Is this an event of the wanted name?"""
    return name.startswith(wanted[:-1]) if wanted.endswith(("/*", ".*")) else name == wanted
