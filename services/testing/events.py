"""The matcher's part: all events so far, what each starts, and the waits that they may meet.

Every event is kept, so a wait always finds what it may look back on.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..functions.table import FunctionTable
from ..functions.triggering import Conditions
from ..matcher.correlating import correlate
from ..matcher.matching import match
from ..matcher.waits import WaitTable
from ..messages.codec import Codec
from ..messages.keys import wait_key
from ..messages.records import Event, ResumeRun, StartRun, Wait
from ..state.memory import MemoryStore


class EventLog:
    """Events in the order of their arrival, and the table of waits."""

    def __init__(self, table: FunctionTable, codec: Codec) -> None:
        self.events: list[Event] = []
        self._table = table
        self._codec = codec
        self._conditions = Conditions()
        self._waits = WaitTable(MemoryStore().open(0), codec, self._conditions)
        self._paths: dict[str, dict[str, None]] = {}

    def arrived(self, event: Event, now: int) -> Iterator[StartRun | ResumeRun]:
        """The runs that the event starts, then those whose waits it ends."""
        self.events.append(event)
        yield from match(event, self._table, self._conditions)
        yield from self._correlated(event, tuple(self._paths.get(event.name, ())), now)

    def registered(self, wait: Wait, now: int) -> Iterator[ResumeRun]:
        """A run begins to wait: the command to it, if an event that it looks back on ends the wait at once."""
        paths = self._paths.setdefault(wait.event, {})
        if wait.path not in paths:
            paths[wait.path] = None
            for event in self.events:
                if event.name == wait.event:
                    # No wait has this path yet, so nothing is met: the events are only put where this one looks.
                    tuple(self._correlated(event, (wait.path,), now))
        self._waits.fold([(wait_key(wait).encode(), self._codec.encode(wait))], self._waits.waits_offset + 1, now)
        for page in self._waits.looked_back(wait):
            yield from page

    def over(self, key: str, now: int) -> None:
        """A run waits no longer."""
        self._waits.fold([(key.encode(), None)], self._waits.waits_offset + 1, now)

    def wanted(self, name: str) -> bool:
        """Whether a function is triggered by events of this name, or a run has waited for one."""
        return name in self._paths or bool(self._table.triggered_by(name))

    def _correlated(self, event: Event, paths: tuple[str, ...], now: int) -> Iterator[ResumeRun]:
        for each in correlate(event, paths):
            offset = self._waits.correlations_offset + 1
            self._waits.remember([(each, self._codec.encode(each))], offset, now)
            for page in self._waits.met_by(each):
                yield from page
