"""The command that starts a function's run for an event, wherever the event came from. Pure.

Equal events give equal commands: an event that is read again, or a request that is sent again with the same seed, names
the same run.
"""

from __future__ import annotations

from ..messages.ids import FunctionKey, run_id, ulid_millis
from ..messages.records import Event, StartRun


def start_run(function: FunctionKey, event: Event, text: str, registry_offset: int) -> StartRun:
    """Start `function` for the event; `text` is the event as SDKs see it (`triggering.event_json`).

    An id of the sender's own stands for the event, and starts nothing twice within a day; a time in the future
    postpones the run.
    """
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
