"""The events that a run carries with it. Pure.

Runs by cron, by invocation, of a replay and of a rerun may have events that are on no topic (any more): they are kept
as the run holds them, so that people can look at them all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..messages.records import Event, RunStarted


class _Shape(msgspec.Struct):
    name: str = ""
    id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    user: msgspec.Raw = msgspec.Raw(b"{}")
    ts: int = 0
    v: str | None = None


_decoder = msgspec.json.Decoder(_Shape)


def events_of(record: RunStarted) -> Iterator[Event]:
    """The run's events; a text that holds none (no release writes one) is passed over."""
    for internal_id, text in zip(record.event_ids, record.events, strict=False):
        try:
            shape = _decoder.decode(text)
        except msgspec.DecodeError:
            continue
        data, user = bytes(shape.data).decode(), bytes(shape.user).decode()
        yield Event(shape.name, data, shape.id, shape.ts, user, shape.v, internal_id, record.received_at, "run")
