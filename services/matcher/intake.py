"""What happens to one record, from its arrival to its acknowledgement.

Crash order, by `Intake.take`:
1. decode, and wait for the function table that its sender had seen;
2. match (pure) → start commands, and the event for waits of its shape; or a dead letter;
3. send them; nothing is acknowledged yet;
4. when all in-sync replicas have them, and every earlier record of the partition is done with, acknowledge.
Dying anywhere repeats the record: the commands carry the same ids, and the second arrival changes nothing. Shapes are
asked for at the time of matching, after the lookback has been told of the record: a shape that is not known by then
makes it read the record again.

While Kafka does not take records, librdkafka tries again, in order, for a minute; new records wait. After that the
process ends with an error, nothing acknowledged, and whoever supervises it starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ..errors import Unavailable, UndecodableRecord
from ..exhaustion import end_if_out_of_memory
from ..functions.table import FunctionTable
from ..functions.triggering import Conditions
from ..kafka.produce import Outgoing
from ..messages.codec import Codec
from ..messages.incoming import Arrival, IncomingEvents
from ..messages.records import Event
from ..messages.topics import Topics
from .acknowledgements import Acknowledgements
from .correlating import correlate
from .deliveries import Deliveries
from .lookback import Lookback
from .matching import match
from .records import dead_letter, registry_offset, to_runs, to_waits
from .shapes import ShapeTable

log = logging.getLogger(__name__)

#: How long an event waits for the functions that its sender had seen, before the broker is asked whether they exist.
REGISTRY_SECONDS = 10.0
#: How long the broker may take to answer that.
END_SECONDS = 3.0
#: Between two attempts to look up a schema while the schema registry is away.
RETRY_SECONDS = 1.0


class Registry(Protocol):
    """The function table, kept up to date by `kafka.registry`."""

    @property
    def table(self) -> FunctionTable: ...

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """True as soon as the table has taken its topic up to `offset`; False when that takes too long."""

    async def end(self, timeout_seconds: float) -> int:
        """Where its topic ends now; `Unavailable` when the broker does not tell in time."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the matcher works with; all of it belongs to one event loop."""

    incoming: IncomingEvents
    registry: Registry
    deliveries: Deliveries
    codec: Codec
    topics: Topics
    shapes: ShapeTable
    lookback: Lookback


class Intake:
    """Takes records one after the other; what they start is on its way while the next is taken."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._conditions = Conditions()
        self._acknowledgements = Acknowledgements()
        self._in_vain = -1

    async def take(self, arrival: Arrival, key: bytes | None, acknowledge: Callable[[], object]) -> None:
        """See the crash order above. Returns when the record's commands are on their way, not when they arrived."""
        place = (arrival.topic, arrival.partition)
        self._ports.lookback.taken(place, arrival.offset)
        waiting = self._acknowledgements.arrived(place, acknowledge)
        outgoing = await self._outgoing(arrival, key)
        if not outgoing:
            self._acknowledgements.done(waiting)
            return
        await self._ports.deliveries.send(outgoing, partial(self._acknowledgements.done, waiting))

    async def _outgoing(self, arrival: Arrival, key: bytes | None) -> list[Outgoing]:
        try:
            return await self._matched(arrival)
        except UndecodableRecord as error:
            reason = str(error)
        except Unavailable:
            raise
        except Exception as error:  # one record must not stop all others, and must not vanish either
            end_if_out_of_memory(error)
            log.exception("matching %s/%s@%s failed", arrival.topic, arrival.partition, arrival.offset)
            reason = f"the matcher failed on this event, please report it: {error!r}"
        log.warning("%s/%s@%s is a dead letter: %s", arrival.topic, arrival.partition, arrival.offset, reason)
        ports = self._ports
        return [dead_letter(arrival, key, reason, int(time.time() * 1000), ports.topics, ports.codec)]

    async def _matched(self, arrival: Arrival) -> list[Outgoing]:
        ports = self._ports
        event = await self._decoded(arrival)
        await self._functions_known(arrival)
        ports.lookback.matched((arrival.topic, arrival.partition), event.name, event.received_at)
        outgoing = to_runs(match(event, ports.registry.table, self._conditions), ports.topics, ports.codec)
        paths = ports.shapes.paths(event.name, event.received_at)
        return outgoing + to_waits(correlate(event, paths), ports.topics, ports.codec) if paths else outgoing

    async def _functions_known(self, arrival: Arrival) -> None:
        """Wait for what the sender had seen, as long as it takes; an offset that does not exist is not waited for."""
        registry, seen = self._ports.registry, registry_offset(arrival.headers)
        if seen <= registry.table.offset or seen >= self._in_vain > registry.table.offset:
            return
        place = f"{arrival.topic}/{arrival.partition}@{arrival.offset}"
        while not await registry.reached(seen, REGISTRY_SECONDS):
            try:
                end = await registry.end(END_SECONDS)
            except Unavailable as error:
                log.warning("%s waits for functions that its sender had seen: %s", place, error)
                continue
            if seen >= end:
                self._in_vain = seen
                log.warning("%s: its sender names functions up to %s, but there are %s: matched", place, seen, end)
                return
            log.warning("%s waits for functions up to %s of %s; we have %s", place, seen, end, registry.table.offset)

    async def _decoded(self, arrival: Arrival) -> Event:
        internal = arrival.topic == self._ports.topics.internal_events
        while True:
            try:
                return self._ports.incoming.decode(arrival, internal)
            except Unavailable as error:
                log.warning("%s/%s waits: %s", arrival.topic, arrival.partition, error)
                await asyncio.sleep(RETRY_SECONDS)
