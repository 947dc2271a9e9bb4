"""To which waits may an event go? One message for every live shape of its name, however many runs wait. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..expressions.split import value_at
from ..functions.triggering import EventContent, event_json
from ..messages.records import CorrelatedEvent, Event


def correlate(event: Event, paths: Sequence[str]) -> list[CorrelatedEvent]:
    """The event under the value that it has at each path; where that is no scalar, no wait can ask for it."""
    content, payload = EventContent(event).get(), event_json(event)
    found: list[CorrelatedEvent] = []
    for path in paths:
        value = value_at(content, path) if path else ""
        if value is not None:
            found.append(
                CorrelatedEvent(event.name, path, value, event.internal_id, event.received_at, payload),
            )
    return found
