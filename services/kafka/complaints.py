"""What Kafka's clients complain about, in our log: the first of a kind at once, then how it stands every so often.

By themselves they write a line for every attempt to connect, dozens a second while Kafka is away: librdkafka to
standard error, aiokafka (which Faust uses) to its loggers.
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
        unsaid = self.to_say(error.name())
        if unsaid is not None:
            log.warning("Kafka: %s%s; trying on", error.str(), _more(unsaid))

    def to_say(self, kind: str) -> int | None:
        """None when the kind was told a moment ago; else how many went unsaid since."""
        now = self._clock()
        with self._lock:
            if now - self._told.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return None
            self._told[kind] = now
            return self._unsaid.pop(kind, 0)


#: What every client of this process reports to.
COMPLAINTS = Complaints()


class OnceInAWhile(logging.Filter):
    """For a handler: messages of aiokafka by the same template come once in a while."""

    def __init__(self, complaints: Complaints) -> None:
        super().__init__()
        self._complaints = complaints

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.split(".", 1)[0] != "aiokafka":
            return True
        unsaid = self._complaints.to_say(f"{record.name} {record.msg}")
        if unsaid:
            record.msg, record.args = record.getMessage() + _more(unsaid), ()
        return unsaid is not None


def _more(unsaid: int) -> str:
    return f" (and {unsaid} more since the last time)" if unsaid else ""
