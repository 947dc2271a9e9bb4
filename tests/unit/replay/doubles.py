"""Replays without Kafka: a topic that is a list, a table that is written at once, a producer that keeps all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import Unavailable
from penstock.functions.config import CronTrigger, EventTrigger, FunctionConfig, Trigger
from penstock.functions.table import FunctionTable
from penstock.kafka.produce import Outgoing
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, ReplayId
from penstock.messages.incoming import IncomingEvents
from penstock.messages.records import Event, Function, Replay, ReplayProgress, StartRun
from penstock.messages.topics import Topics
from penstock.replay.carrier import Ports
from penstock.replay.table import ReplayRecord, ReplayState, ReplayTable

NOW = 1_790_000_000_000
DAY = 24 * 3600 * 1000
CODEC = Codec()
TOPICS = Topics("t.")
FN = FunctionKey("shop/shop-fulfil")


def function(*triggers: Trigger, key: str = FN) -> FunctionConfig:
    app, slug = key.split("/")
    return FunctionConfig(FunctionKey(key), app, slug, slug, "http://app", triggers or (EventTrigger("shop/order"),))


def table(*configs: FunctionConfig) -> FunctionTable:
    found = FunctionTable()
    for offset, c in enumerate(configs or (function(),)):
        found.apply(Function(c.key, c.app, c.slug, c.name, 1, c.to_json(), NOW), offset)
    return found


def event(name: str = "shop/order", n: int = 0, **fields: Any) -> Event:
    given = {"internal_id": f"01J0000000000000000000{n:04d}", "received_at": NOW, "ts": NOW, "data": f'{{"n": {n}}}'}
    return Event(name, **(given | fields))


def replay(**fields: Any) -> Replay:
    given: dict[str, Any] = {
        "id": ReplayId("01J00000000000000000000RE1"),
        "identity": "ab" * 16,
        "function": FN,
        "created_at": NOW,
        "runs_dated": NOW,
        "begins": {"events/0": 0},
        "ends": {"events/0": 0},
        "rate": 10_000.0,
    }
    return Replay(**(given | fields))


class Message:
    """What librdkafka gives."""

    def __init__(self, offset: int, value: bytes, at: int = NOW) -> None:
        self._offset, self._value, self._at = offset, value, at

    def topic(self) -> str:
        return TOPICS.events

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (1, self._at)

    def value(self) -> bytes:
        return self._value

    def headers(self) -> None:
        return None


@dataclass
class MemoryReplays:
    """The topic `replays`, in memory."""

    table: ReplayTable = field(default_factory=ReplayTable)
    written: list[ReplayRecord] = field(default_factory=list)
    written_by_others: list[ReplayRecord] = field(default_factory=list)
    """Seen with the next look at the topic's end."""
    written_at_once: list[ReplayRecord] = field(default_factory=list)
    """By others, just before our next own record."""

    def state(self, replay: ReplayId) -> ReplayState | None:
        return self.table.get(replay)

    async def refresh(self) -> None:
        if self.written_by_others:
            self._take(self.written_by_others.pop(0))

    async def write(self, record: ReplayRecord) -> None:
        if self.written_at_once:
            self._take(self.written_at_once.pop(0))
        self._take(record)

    def _take(self, record: ReplayRecord) -> None:
        self.written.append(record)
        self.table.apply(record)

    def progress(self) -> ReplayProgress:
        found = [record for record in self.written if isinstance(record, ReplayProgress)]
        return found[-1]


@dataclass
class Topic:
    """One partition of events; `reads` are the positions that readers began at."""

    messages: list[Message]
    reads: list[int] = field(default_factory=list)

    def open(self, positions: dict[str, int], ends: dict[str, int]) -> TopicReader:
        self.reads.append(positions["events/0"])
        return TopicReader(self, positions["events/0"], ends["events/0"])


class TopicReader:
    def __init__(self, topic: Topic, at: int, end: int) -> None:
        self._left = [m for m in topic.messages if at <= m.offset() < end]
        self.at_end = False

    def next_batch(self, most: int) -> tuple[list[Message], set[str]]:
        batch, self._left = self._left[:most], self._left[most:]
        self.at_end = not self._left
        return batch, {"events/0"} if self.at_end else set()

    def close(self) -> None:
        return


@dataclass
class Steps:
    """The topic `run-steps`: what was sent. `fail_after` lets a later send fail once."""

    sent: list[StartRun] = field(default_factory=list)
    fail_after: int = -1
    on_send: Any = None

    def send_all(self, records: Sequence[Outgoing]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if 0 <= self.fail_after <= len(self.sent):
            self.fail_after = -1
            raise Unavailable("Kafka is away")
        self.sent += [CODEC.decode_as(StartRun, record.value or b"") for record in records]
        if self.on_send is not None:
            self.on_send()
        future.set_result(0)
        return future


@dataclass
class Held:
    """The executors' backlog: reasons to hold back, one after the other."""

    reasons: list[str] = field(default_factory=list)

    async def reason(self) -> str:
        return self.reasons.pop(0) if self.reasons else ""


class Registry:
    def __init__(self, functions: FunctionTable) -> None:
        self.table = functions


def ports(
    topic: Topic, steps: Steps, replays: MemoryReplays, functions: FunctionTable | None = None, held: Held | None = None
) -> Ports:
    return Ports(
        incoming=IncomingEvents(CODEC),
        registry=Registry(functions or table()),
        producer=steps,
        codec=CODEC,
        topics=TOPICS,
        replays=replays,
        backlog=held or Held(),
        open_reader=topic.open,  # type: ignore[arg-type]
        now=lambda: NOW,
    )


def orders(count: int) -> Topic:
    return Topic([Message(n, CODEC.encode(event(n=n))) for n in range(count)])


CRON = CronTrigger("0 * * * *")
