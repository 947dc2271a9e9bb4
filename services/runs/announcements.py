"""The events that tell of a run's end: `inngest/function.finished`, and `.failed` or `.cancelled` beside it.

They are ordinary events: functions may be triggered by them, runs may wait for them. A run that one of them triggered
tells of its own end to nobody, or one failing function would go on forever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import orjson

from ..messages.ids import EventId, ulid
from ..messages.records import Event, RunStatus
from .run import Run

FINISHED = "inngest/function.finished"
_BESIDE: dict[RunStatus, str] = {"Failed": "inngest/function.failed", "Cancelled": "inngest/function.cancelled"}
_SILENT = frozenset((FINISHED, *_BESIDE.values()))
#: An event must fit into the command that starts a run for it; what is larger leaves out first its copies, then the
#: payloads themselves.
MAX_DATA_BYTES = 7 * 1024 * 1024


class _Named(msgspec.Struct):
    name: str = ""


#: Values stay text: a cause may nest deeper than what can be written anew.
_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_name_of = msgspec.json.Decoder(_Named).decode


def announcements(run: Run, wanted: Callable[[str], bool]) -> tuple[Event, ...]:
    """The events of a run that has ended, with ids of their own that are the same each time.

    A failure or cancellation is always told; that a run has finished only when it is `wanted`, for each run would
    otherwise cost one event more.
    """
    end = run.ended
    if end is None:
        return ()
    names = [FINISHED] if wanted(FINISHED) else []
    if end.status in _BESIDE:
        names.append(_BESIDE[end.status])
    # Most runs complete and nobody listens: the event is looked into only when there is something to tell.
    if names and any(_name_of(event).name in _SILENT for event in run.started.events[:1]):
        return ()
    return tuple(_event(run, name, end.status, end.ended_at) for name in names)


def _event(run: Run, name: str, status: RunStatus, ended_at: int) -> Event:
    seed = hashlib.blake2b(f"{name}\0{run.id}".encode(), digest_size=10).digest()
    internal_id = EventId(ulid(ended_at, seed))
    return Event(
        name=name,
        data=_data(run, status).decode(),
        id=internal_id if name == FINISHED else run.id,
        ts=ended_at,
        internal_id=internal_id,
        received_at=ended_at,
        source="run",
    )


def _data(run: Run, status: RunStatus) -> bytes:
    started, output = run.started, run.ended.output if run.ended else "null"
    about: dict[str, object] = {
        "function_id": started.function.partition("/")[2],
        "run_id": run.id,
        "event": orjson.Fragment(started.events[0]) if started.events else {},
        "events": [orjson.Fragment(event) for event in started.events],
        "result": orjson.Fragment(output),
        "_inngest": {"status": status},
    }
    if status != "Completed":
        about["error"] = _error(output)
    if started.correlation_id:
        about["correlation_id"] = started.correlation_id
    data = orjson.dumps(about)
    for name, left_out in (("events", []), ("event", {}), ("result", None), ("error", {"name": "Error"})):
        if len(data) <= MAX_DATA_BYTES:
            break
        if name in about:
            about[name] = left_out
            data = orjson.dumps(about)
    return data


def _error(output: str) -> dict[str, object]:
    """What functions that handle failures read: the error as the app sent it, under the name that they know."""
    try:
        fields = _fields_of(output)
    except msgspec.ValidationError:  # not an object
        fields = {}
    told: dict[str, object] = {"error": "invalid status code: 500"}
    for key in ("name", "message", "stack", "cause"):
        if key in fields:
            told[key] = orjson.Fragment(bytes(fields[key]))
    return told
