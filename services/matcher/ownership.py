"""The tables of the wait partitions that are ours: opened, restored, let go of.

A partition is held back from reading until its table is restored; event partitions go on meanwhile. Every new
assignment restores every table again, for somebody else may have had the partition in between: a table whose files are
up to date has little to read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import ExitStack, closing

from ..errors import Fenced, Unavailable
from ..functions.triggering import Conditions
from ..kafka.partition_log import PartitionLog
from ..messages.incoming import Arrival
from ..state.store import StateStore
from .acknowledgements import Place
from .pairing import Pairing, PairingPorts
from .rereading import Offsets
from .restoration import Restoration, Source
from .waits import WaitTable

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
#: Tables restored at the same time.
AT_ONCE = 2

LetGo = Callable[[dict[Place, int | None]], Awaitable[None]]


class WaitOwnership:
    """Owns the wait partitions of one matcher; used on its event loop."""

    def __init__(
        self,
        store: StateStore,
        open_log: Callable[[str, int], PartitionLog],
        matched: Offsets,
        window_ms: int,
        let_go: LetGo,
    ) -> None:
        """`matched` are the matcher's own offsets; `let_go` has partitions read, some from a given offset on."""
        self._store = store
        self._open_log = open_log
        self._matched = matched
        self._window_ms = window_ms
        self._let_go = let_go
        self._conditions = Conditions()
        self._tables: dict[int, WaitTable] = {}
        self._pairings: dict[int, Pairing] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._restores: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._ours: frozenset[int] = frozenset()
        self._assignment = 0
        self._changed = asyncio.Event()

    def held_back(self, topics: Iterable[str]) -> Collection[Place]:
        """What must not be read yet."""
        waiting = self._ours - self._pairings.keys()
        return {(topic, partition) for topic in topics for partition in waiting}

    def assign(self, partitions: Collection[int], ports: PairingPorts) -> None:
        """These partitions, and no others, are ours from now on; nothing of them is read before it is restored."""
        for pairing in self._pairings.values():
            pairing.retire()
        self._pairings = {}
        self._assignment += 1
        gone = self._tables.keys() - set(partitions)
        self._ours = frozenset(partitions)
        for partition in gone:
            self._spawn(self._close(partition), ports)
        for partition in sorted(partitions):
            self._spawn(self._bring_up(partition, self._assignment, ports), ports)

    async def take(self, arrival: Arrival, key: bytes | None, acknowledge: Callable[[], object]) -> None:
        """Pass a record on to its partition's table; one of a partition that is not ours is its owner's to take."""
        while (pairing := self._pairings.get(arrival.partition)) is None:
            if arrival.partition not in self._ours:
                return
            self._changed.clear()
            await self._changed.wait()
        await pairing.take(arrival, key, acknowledge)

    async def close(self) -> None:
        """Let go of everything; what was not acknowledged is the next owner's."""
        self._assignment += 1
        self._ours = frozenset()
        for pairing in self._pairings.values():
            pairing.retire()
        self._pairings = {}
        if self._restores:
            await asyncio.wait(self._restores, timeout=5.0)
        for partition in tuple(self._tables):
            await self._close(partition)

    def _spawn(self, work: Coroutine[None, None, None], ports: PairingPorts) -> None:
        task = asyncio.create_task(work)
        self._restores.add(task)
        task.add_done_callback(self._restores.discard)
        task.add_done_callback(lambda done: _report(done, ports))

    async def _close(self, partition: int) -> None:
        async with self._lock(partition):
            if partition not in self._ours and (table := self._tables.pop(partition, None)) is not None:
                table.close()

    async def _bring_up(self, partition: int, assignment: int, ports: PairingPorts) -> None:
        """Try until the table is restored, or the assignment is another."""
        while assignment == self._assignment:
            try:
                async with self._slots, self._lock(partition):
                    if assignment == self._assignment:
                        await self._restored(partition, assignment, ports)
                return
            except Unavailable as error:
                log.warning("waits of partition %s: %s; trying again", partition, error)
                await asyncio.sleep(RETRY_SECONDS)
            except Fenced as error:  # the group has moved on; it tells us what is ours by a new assignment
                log.info("waits of partition %s: %s", partition, error)
                return

    async def _restored(self, partition: int, assignment: int, ports: PairingPorts) -> None:
        try:
            table = await self._table(partition, ports)
            pairing = Pairing(table, ports, self._window_ms)
            moved = await self._restore(partition, assignment, table, pairing, ports)
            if assignment == self._assignment:
                self._pairings[partition] = pairing
                await self._let_go(moved)
                self._changed.set()
        except (Unavailable, Fenced):
            self._pairings.pop(partition, None)
            self._drop(partition)
            raise

    async def _table(self, partition: int, ports: PairingPorts) -> WaitTable:
        table = self._tables.get(partition)
        if table is None:
            state = await asyncio.to_thread(self._store.open, partition)
            table = self._tables[partition] = WaitTable(state, ports.codec, self._conditions)
        return table

    async def _restore(
        self, partition: int, assignment: int, table: WaitTable, pairing: Pairing, ports: PairingPorts
    ) -> dict[Place, int | None]:
        """Bring the table up to date; where the group is to read on."""
        waits, events = (ports.topics.waits, partition), (ports.topics.correlations, partition)
        committed = await asyncio.to_thread(self._matched.read, (waits, events))
        restoration = Restoration(table, ports.codec, self._window_ms)
        with ExitStack() as opened:
            logs = [opened.enter_context(closing(self._open_log(*place))) for place in (waits, events)]
            sources = [Source(log_, committed.get(place)) for log_, place in zip(logs, (waits, events), strict=True)]
            portions = opened.enter_context(closing(restoration.portions(sources[0], sources[1], ports.now_ms())))
            while (settled := await asyncio.to_thread(next, portions, None)) is not None:
                if assignment != self._assignment:
                    return {}
                await pairing.deliver(settled, partition)
        log.info("waits of partition %s: %s records read", partition, restoration.restored)
        end = restoration.waits_end
        return {waits: end if end > committed.get(waits, 0) else None, events: None}

    def _drop(self, partition: int) -> None:
        """Close a table that is in trouble, so that it is opened anew: damage is then found and emptied."""
        table = self._tables.pop(partition, None)
        if table is not None:
            table.close()

    def _lock(self, partition: int) -> asyncio.Lock:
        return self._locks.setdefault(partition, asyncio.Lock())


def _report(task: asyncio.Future[None], ports: PairingPorts) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        ports.fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))
