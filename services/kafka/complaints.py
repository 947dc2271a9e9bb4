"""What librdkafka complains about, in our log: the first of a kind at once, then how it stands every so often.

By itself it writes a line to standard error for every attempt to connect, dozens a second while Kafka is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

EVERY_SECONDS = 30.0


class Complaint(Protocol):
    """A `KafkaError`."""

    def name(self) -> str: ...

    def str(self) -> str: ...


class Complaints:
    """Shared by all clients of a process; called from their threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, error: Complaint) -> None:
        """Log it, unless its kind was logged a moment ago."""
        kind, now = error.name(), self._clock()
        with self._lock:
            if now - self._told.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return
            self._told[kind] = now
            unsaid = self._unsaid.pop(kind, 0)
        more = f" (and {unsaid} more since the last time)" if unsaid else ""
        log.warning("Kafka: %s%s; trying on", error.str(), more)


#: What every client of this process reports to.
COMPLAINTS = Complaints()
