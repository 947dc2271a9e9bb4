"""The replayer as a process: of all replayers one carries out what is wanted, a few replays at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

from ..kafka import clients
from ..kafka.produce import AsyncProducer, while_usable
from ..kafka.ranges import RangeReader
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..messages.ids import ReplayId
from ..messages.incoming import IncomingEvents
from ..settings import KafkaSettings, ReplaySettings
from .backlog import CommandBacklog
from .carrier import Carrier, Ports
from .log import ReplayLog
from .turn import Turn

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
#: A replay has time: on a machine that is busy, whatever serves live events goes first.
NICENESS = 10


async def serve(settings: ReplaySettings, kafka: KafkaSettings, ready: Callable[[str], None]) -> None:
    """Carry out replays until cancelled. Kafka must be reachable and its topics exist.

    Raises `Unavailable` when the producer is broken for good. Killed at any time, the next one goes on behind what
    was recorded last; what it repeats starts no run twice.
    """
    os.nice(NICENESS)
    codec, schemas = await wait_for_codec(kafka)
    registry = FunctionRegistry(kafka, codec)
    await registry.start()
    producer = AsyncProducer(clients.producer(kafka, "penstock-replay"))
    replays = ReplayLog(kafka, codec, producer)
    await replays.start()
    turn, backlog = Turn(kafka, replays.changed.set), CommandBacklog(kafka)
    ports = Ports(
        incoming=IncomingEvents(codec, schemas),
        registry=registry,
        producer=producer,
        codec=codec,
        topics=kafka.topics(),
        replays=replays,
        backlog=backlog,
        open_reader=lambda positions, ends: RangeReader(kafka, positions, ends),
        now=lambda: time.time_ns() // 1_000_000,
    )
    ready(f"replayer carries out what is on {kafka.topics().replays}")
    try:
        await while_usable(producer, Replayer(replays, turn, ports, settings.replays_at_once).run())
    finally:
        await turn.close()
        await replays.close()
        await producer.close()
        await backlog.close()
        await registry.close()


class Replayer:
    """Keeps a carrier for each of the oldest replays that are to be carried out, while it is our turn."""

    def __init__(self, replays: ReplayLog, turn: Turn, ports: Ports, at_once: int) -> None:
        self._replays = replays
        self._turn = turn
        self._ports = ports
        self._at_once = at_once
        self._under_way: dict[ReplayId, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            while True:
                self._replays.changed.clear()
                await self._look()
                await self._wait()
        finally:
            await self._drop()

    async def _look(self) -> None:
        for replay, task in list(self._under_way.items()):
            if task.done():
                del self._under_way[replay]
        if not self._turn.ours:
            await self._drop()
            return
        active = sorted((s for s in self._replays.table.all() if s.active), key=lambda s: s.asked.created_at)
        for state in active:
            if len(self._under_way) < self._at_once and state.asked.id not in self._under_way:
                carrier = Carrier(state, self._ports)
                self._under_way[state.asked.id] = asyncio.create_task(carrier.run())

    async def _wait(self) -> None:
        """Until something changes; now and then we look anyway, for carriers that have ended."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._replays.changed.wait()
        except TimeoutError:
            return

    async def _drop(self) -> None:
        """It is another one's turn, or the end: stop in the middle, which repeats a little and loses nothing."""
        for task in self._under_way.values():
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        self._under_way.clear()
