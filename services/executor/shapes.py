"""The shapes of waits that this process knows to be on their topic, so that it need not tell of them again."""

from __future__ import annotations

from ..messages.keys import shape_key
from ..messages.records import Wait, WaitShape

#: A shape is asked for this much earlier than its first wait needs, so that the next one does not ask again.
MARGIN_MS = 60_000
#: And at least this much longer.
MIN_DURATION_MS = 3_600_000
#: Lapsed shapes are looked for whenever there are twice as many shapes as after the last time.
SWEEP_AT = 10_000


class KnownShapes:
    """Shapes by event name and path, fed by whoever reads the topic or has written to it."""

    def __init__(self) -> None:
        self._shapes: dict[bytes, WaitShape] = {}
        self._waited_until: dict[str, int] = {}
        self._sweep_at = SWEEP_AT

    def take(self, shape: WaitShape) -> None:
        """The topic has it."""
        self._shapes[shape_key(shape.event, shape.path)] = shape
        self._waited_until[shape.event] = max(self._waited_until.get(shape.event, 0), shape.until)
        if len(self._shapes) > self._sweep_at:
            self._sweep(shape.written_at)

    def waited_for(self, event: str, now: int) -> bool:
        """Whether runs may wait for events of this name."""
        return self._waited_until.get(event, 0) > now

    def missing(self, wait: Wait, now: int) -> WaitShape | None:
        """The shape that must be told of before this wait can be met; None when the known one is enough."""
        known = self._shapes.get(shape_key(wait.event, wait.path))
        if known is not None and known.since <= wait.since and wait.until <= known.until:
            return None
        since, until = wait.since - MARGIN_MS, wait.until + max(wait.until - now, MIN_DURATION_MS)
        if known is not None and known.until >= now:
            since, until = min(since, known.since), max(until, known.until)
        return WaitShape(wait.event, wait.path, since, until, now)

    def _sweep(self, now: int) -> None:
        self._shapes = {key: shape for key, shape in self._shapes.items() if shape.until > now}
        self._waited_until = {event: until for event, until in self._waited_until.items() if until > now}
        self._sweep_at = max(SWEEP_AT, 2 * len(self._shapes))
