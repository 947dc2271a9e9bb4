"""The executor as a process: everything above put together, and taken down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..kafka.held_back import held_back
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..kafka.shape_registry import ShapeRegistry
from ..keys import SigningKeys, require_keys
from ..messages.ids import ulid
from ..messages.records import WaitShape
from ..runs.turn import Rules
from ..settings import ExecutorSettings, KafkaSettings
from ..state.memory import MemoryStore
from ..state.rocks import RocksStore
from ..state.store import StateStore
from ..web import EmbeddedServer, configured, require_loopback
from .api import OwnerApi, owner_app
from .call import HttpCaller
from .calls import CallQueue
from .changelog import KafkaChangelog
from .commands import CommandReader
from .hanging import watch
from .membership import GroupMember
from .outbound import HttpSender
from .outgoing import Outbox
from .ownership import LONG_CALL_SECONDS, Ownership
from .partition import PartitionOwner
from .shapes import KnownShapes

log = logging.getLogger(__name__)


async def serve(settings: ExecutorSettings, kafka: KafkaSettings, ready: Callable[[str], None]) -> None:
    """Own partitions and drive their runs until cancelled. Kafka must be reachable and its topics exist."""
    require_loopback(settings.mode, settings.host, settings.dev_on_network)
    require_keys(settings)
    codec, _ = await wait_for_codec(kafka)
    registry = FunctionRegistry(kafka, codec)
    await registry.start()
    calls = CallQueue(HttpCaller(settings), HttpSender(settings), registry.table, settings.max_calls_per_app, new_ulid)
    store = open_store(settings, kafka)
    rules = Rules(
        settings.retry_interval_seconds,
        settings.retention_run_state_seconds * 1000,
        lookback=settings.lookback_ms(),
    )
    topics = kafka.topics()

    shapes = KnownShapes()

    def told(records: Sequence[tuple[WaitShape, int]], _offset: int) -> None:
        for shape, _ in records:
            shapes.take(shape)

    shape_registry = ShapeRegistry(kafka, codec, told)
    await shape_registry.start()

    def wanted(event: str) -> bool:
        if settings.finished_events == "all" or registry.table.triggered_by(event):
            return True
        return shapes.waited_for(event, now_ms())

    def make_owner(partition: int) -> PartitionOwner:
        return PartitionOwner(
            partition,
            store.open(partition),
            KafkaChangelog(kafka, partition),
            registry,
            codec,
            Outbox(topics, codec, registry.table, shapes, wanted),
            calls,
            rules,
            now_ms,
            settings.cached_runs_per_partition,
        )

    commands = CommandReader(kafka, codec)
    ownership = Ownership(make_owner, commands)
    registry.on_change(ownership.functions_changed)
    with socket.create_server((settings.host, settings.executor_port)) as listening:
        host, port = listening.getsockname()[:2]
        api = owner_app(OwnerApi(ownership, calls, kafka.run_partitions), SigningKeys.from_settings(settings))
        server = EmbeddedServer(configured(api))
        answering = asyncio.create_task(server.serve([listening]))
        member = GroupMember(kafka, f"penstock-executor|{host}:{port}", ownership)
        ownership.prove = member.prove
        places = [*topics.written_by_owners(), *((topics.run_state, each) for each in range(kafka.run_partitions))]
        watching = asyncio.create_task(watch(partial(held_back, kafka, places), ownership.reopen))
        try:
            await ownership.first_assignment.wait()
            ready(f"executor owns partitions of {topics.run_steps}, answers on {host}:{port}")
            await answering
        finally:
            watching.cancel()
            await _patience(calls, settings.drain_seconds)
            ownership.patience_seconds = 0.0
            # Leaving the group revokes the partitions, which come to rest and let go of their state.
            await asyncio.shield(member.close())
            await ownership.close()
            await commands.close()
            await calls.close()
            await registry.close()
            await shape_registry.close()
            server.should_exit = True
            await asyncio.wait([answering], timeout=3.0)


async def _patience(calls: CallQueue, seconds: float) -> None:
    """Serve on while calls are under way that take long: they can be answered only here. A second signal ends it."""
    try:
        async with asyncio.timeout(seconds):
            await calls.ended(None, LONG_CALL_SECONDS)
    except TimeoutError:
        log.info("leaving the group, though some calls have been under way for long: they are made again elsewhere")
    except asyncio.CancelledError:
        log.info("leaving the group at once")


def open_store(settings: ExecutorSettings, kafka: KafkaSettings) -> StateStore:
    """The state store that the settings name. Two installations in one folder keep apart by their topic prefix."""
    if settings.state_store == "memory":
        return MemoryStore()
    return RocksStore(Path(settings.data_dir) / "state" / (kafka.topic_prefix.rstrip(".") or "penstock"))


def now_ms() -> int:
    """The clock of the runs: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_ulid() -> str:
    """An id for a request; not derived, for a repeated call is another request."""
    return ulid(now_ms(), os.urandom(10))
