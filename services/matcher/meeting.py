"""Does an event end a wait? Pure, and the same answer whichever of the two comes first.

Both are known to have the same correlation. What is left: received within the wait's time, not an event that the run
has had already, and the rest of the condition.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from ..functions.triggering import Conditions
from ..messages.records import CorrelatedEvent, ResumeRun, Wait


class IncomingEvent:
    """A correlated event; its payload is decoded when the first condition asks."""

    __slots__ = ("_content", "record")

    def __init__(self, record: CorrelatedEvent) -> None:
        self.record = record
        self._content: Mapping[str, object] | None = None

    def content(self) -> Mapping[str, object]:
        if self._content is None:
            decoded = orjson.loads(self.record.payload)
            self._content = decoded if isinstance(decoded, dict) else {}
        return self._content


def meet(wait: Wait, event: IncomingEvent, conditions: Conditions) -> ResumeRun | None:
    """The command to the waiting run, if the event ends its wait."""
    record = event.record
    if not wait.since <= record.received_at <= wait.until or record.internal_id in wait.excluded:
        return None
    # A hash decides where the two meet; the names and values decide whether they do.
    if (wait.event, wait.path, wait.value) != (record.event, record.path, record.value):
        return None
    if wait.condition and not _holds(wait, event, conditions):
        return None
    return ResumeRun(wait.run_id, wait.job_id, record.internal_id, record.payload, record.received_at)


def _holds(wait: Wait, event: IncomingEvent, conditions: Conditions) -> bool:
    try:
        bound, content = orjson.loads(wait.bound or "{}"), event.content()
    except orjson.JSONDecodeError:  # no executor writes this
        return False
    return conditions.meet(wait.condition, bound, content, event.record.received_at)
