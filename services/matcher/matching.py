"""Which runs does an event start? Pure: equal events and equal tables give equal commands.

That equality is what makes "every command may arrive twice" hold: an event that is read again after a crash names the
same runs. So time is the event's own too: `now()` in a trigger expression is the moment the event was received.
"""

from __future__ import annotations

from ..functions.table import FunctionTable
from ..functions.triggering import Conditions, EventContent, event_json
from ..messages.ids import FunctionKey, run_id, ulid_millis
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
