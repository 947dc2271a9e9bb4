"""Events and the runs that they must have started: pure.

Which runs an event starts is a function of the event and the function table, the same that the matcher uses. The table
of today is not that of then: a function that was registered (again) after an event says nothing about it.
"""

from __future__ import annotations

from collections.abc import Container

from ..errors import UndecodableRecord
from ..functions.starting import start_run
from ..functions.table import FunctionTable
from ..functions.triggering import Conditions, EventContent
from ..messages.ids import FunctionKey, RunId
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.keys import dedupe_key
from .findings import Findings


class StartsAudit:
    """Asks of each event that the matcher is done with: what came of it?"""

    def __init__(
        self,
        table: FunctionTable,
        incoming: IncomingEvents,
        started: Container[RunId],
        deduplicated: Container[bytes],
        dead: Container[tuple[str, int, int]],
        since: int,
    ) -> None:
        """`started`: runs with a start command or a start; `dead`: topic, partition and offset of dead letters.

        Events from before `since` (ms) are not asked for their runs, which may have been purged without a trace.
        """
        self.findings = Findings()
        self._table = table
        self._incoming = incoming
        self._started = started
        self._deduplicated = deduplicated
        self._dead = dead
        self._since = since
        self._conditions = Conditions()

    def take(self, arrival: Arrival, internal: bool) -> None:
        """One record of an event topic that the matcher has acknowledged."""
        self.findings.checked["events"] += 1
        place = f"{arrival.topic}/{arrival.partition}@{arrival.offset}"
        try:
            event = self._incoming.decode(arrival, internal)
        except UndecodableRecord as error:
            self.findings.checked["undecodable events"] += 1
            if (arrival.topic, arrival.partition, arrival.offset) not in self._dead:
                self.findings.add("nothing is dropped", place, f"is no event and no dead letter: {error}")
            return
        if arrival.timestamp < self._since:
            self.findings.checked["events too old to ask"] += 1
            return
        content = EventContent(event)
        checked: set[FunctionKey] = set()
        for registered, trigger in self._table.triggered_by(event.name):
            key = registered.config.key
            record = self._table.record(key)
            known = record is not None and record.registered_at < event.received_at
            if key in checked or not known or not self._conditions.allow(trigger, content, event.received_at):
                continue
            checked.add(key)
            self.findings.checked["starts"] += 1
            start = start_run(key, event, "", -1)
            if start.run_id in self._started:
                continue
            if start.dedupe_key is not None and dedupe_key(key, start.dedupe_key) in self._deduplicated:
                continue
            self.findings.add("every match starts a run", place, f"did not start {key} (run {start.run_id})")
