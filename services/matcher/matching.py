"""Which runs does an event start? Pure: equal events and equal tables give equal commands.

That equality is what makes "every command may arrive twice" hold: an event that is read again after a crash names the
same runs. So time is the event's own too: `now()` in a trigger expression is the moment the event was received.
"""

from __future__ import annotations

from ..functions.starting import start_run
from ..functions.table import FunctionTable
from ..functions.triggering import Conditions, EventContent, event_json
from ..messages.ids import FunctionKey
from ..messages.records import Event, StartRun


def match(event: Event, table: FunctionTable, conditions: Conditions) -> tuple[StartRun, ...]:
    """One start for every function that the event triggers, however many of its triggers match."""
    triggered = table.triggered_by(event.name)
    if not triggered:
        return ()
    content = EventContent(event)
    functions: dict[FunctionKey, None] = {}
    for registered, trigger in triggered:
        key = registered.config.key
        if key in functions:
            continue
        if not conditions.allow(trigger, content, event.received_at):
            continue
        functions[key] = None
    if not functions:
        return ()
    text = event_json(event)
    return tuple(start_run(function, event, text, table.offset) for function in functions)
