"""The run that a replay starts for an event. Pure.

Its id is derived from the function, from what was asked for (the replay's identity) and from the event: so a replay
that is carried out again after a crash, or asked for a second time, names the same runs, and they are started once.
"""

from __future__ import annotations

from ..functions.triggering import event_json
from ..messages.ids import run_id
from ..messages.records import Event, Replay, StartRun
from ..messages.topics import DAY_MS


def start(replay: Replay, event: Event, registry_offset: int, now: int) -> StartRun:
    """The command; `now` is when the run counts as asked for, which is long after its event arrived."""
    return StartRun(
        run_id=run_id(replay.function, f"replay/{replay.identity}/{_unit(event)}", replay.runs_dated),
        function=replay.function,
        events=(event_json(event),),
        event_ids=(event.internal_id,),
        received_at=now,
        start_at=event.ts if event.ts > now else 0,
        registry_offset=registry_offset,
        replay=replay.id,
    )


def _unit(event: Event) -> str:
    """What counts as one event: records that a sender repeated under one id within a day are one, as they were live."""
    if event.id and event.id != event.internal_id:
        return f"{event.received_at // DAY_MS}/{event.id}"
    return event.internal_id
