"""The command reader over a consumer with librdkafka's habits: no gap, no partition that stays paused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from penstock.executor import commands
from penstock.executor.arrivals import CommandArrived
from penstock.executor.commands import PAUSE_ABOVE, CommandReader
from penstock.messages.ids import run_partition
from penstock.messages.records import DeadLetter
from penstock.settings import KafkaSettings

from .world import CODEC, T0, start

LENGTH = PAUSE_ABOVE + 2000
VALUE = CODEC.encode(start("a"))


class Message:
    def __init__(self, partition: int, offset: int) -> None:
        self._place = (partition, offset)

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def value(self) -> bytes:
        return VALUE

    def topic(self) -> str:
        return "run-steps"

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, T0


class FakeConsumer:
    """Partitions of `LENGTH` records. What is paused stays so when it is assigned anew, as in librdkafka."""

    fail_at: int | None = None

    def __init__(self, config: object) -> None:
        self.at: dict[int, int] = {}
        self.paused: set[int] = set()

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self.at = {place.partition: place.offset for place in places}

    def pause(self, places: Sequence[TopicPartition]) -> None:
        self.paused |= {place.partition for place in places}

    def resume(self, places: Sequence[TopicPartition]) -> None:
        self.paused -= {place.partition for place in places}

    def poll(self, timeout: float) -> Message | None:
        for partition, offset in self.at.items():
            if partition not in self.paused and offset < LENGTH:
                self.at[partition] += 1
                return Message(partition, offset)
        time.sleep(min(timeout, 0.01))
        return None

    def consume(self, most: int, timeout: float) -> list[Message]:
        if self.fail_at is not None and max(self.at.values()) > self.fail_at:
            FakeConsumer.fail_at = None
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        taken = iter(lambda: self.poll(0), None)
        return list(islice(taken, most))

    def close(self) -> None:
        pass


class Owner:
    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.next_command = 0
        self.inbox: list[CommandArrived] = []
        self.offsets: list[int] = []
        self.waiting_size = 0

    @property
    def waiting(self) -> int:
        return len(self.inbox)

    def put_all(self, arrivals: Sequence[CommandArrived]) -> None:
        self.inbox += arrivals
        self.offsets += [arrival.offset for arrival in arrivals]


@pytest.fixture(autouse=True)
def consumer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(commands, "Consumer", FakeConsumer)
    monkeypatch.setattr(commands, "RETRY_SECONDS", 0.0)
    yield
    FakeConsumer.fail_at = None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in a thread
            await asyncio.sleep(0.005)


async def test_a_paused_partition_goes_on_after_another_was_assigned() -> None:
    """Assigning anew does not wake what was paused: the reader must."""
    reader = CommandReader(KafkaSettings(), CODEC)
    slow, other = Owner(0), Owner(1)
    reader.add(slow)  # type: ignore[arg-type]
    await until(lambda: slow.waiting > PAUSE_ABOVE and 0 in reader._paused)
    del slow.inbox[2000:]  # worked off, but not yet to the point where it is woken
    reader.add(other)  # type: ignore[arg-type]
    await until(lambda: other.waiting > 0)
    slow.inbox.clear()
    await until(lambda: len(slow.offsets) == LENGTH)
    assert slow.offsets == list(range(LENGTH))
    await reader.close()


async def test_an_error_leaves_no_gap() -> None:
    """What was fetched when the next fetch failed is read again."""
    FakeConsumer.fail_at = 1500
    reader = CommandReader(KafkaSettings(), CODEC)
    owner = Owner(0)
    reader.add(owner)  # type: ignore[arg-type]
    await until(lambda: len(owner.offsets) >= 3000)
    assert owner.offsets == list(range(len(owner.offsets)))
    await reader.close()


async def test_nothing_ends_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the only way in for commands: an error that nobody thought of costs time, no command."""
    failures = iter([RuntimeError("odd"), RuntimeError("odd")])

    class Odd:
        def decode(self, value: bytes) -> object:
            for failure in failures:
                raise failure
            return CODEC.decode(value)

    reader = CommandReader(KafkaSettings(), Odd())  # type: ignore[arg-type]
    owner = Owner(0)
    reader.add(owner)  # type: ignore[arg-type]
    await until(lambda: len(owner.offsets) >= 1000)
    assert owner.offsets == list(range(len(owner.offsets)))
    await reader.close()


async def test_what_cannot_be_taken_arrives_as_its_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of nothing, and a command of another partition: with their place and reason, in their place."""
    monkeypatch.setattr(Message, "value", lambda self: b"x" if self.offset() == 1 else VALUE)
    partitions = KafkaSettings().run_partitions
    right = run_partition(start("a").run_id, partitions)
    owners = [Owner(right), Owner((right + 1) % partitions)]
    reader = CommandReader(KafkaSettings(), CODEC)
    for owner in owners:
        reader.add(owner)  # type: ignore[arg-type]
    await until(lambda: all(len(owner.offsets) >= 3 for owner in owners))
    await reader.close()
    first, second, third = (arrival.command for arrival in owners[0].inbox[:3])
    assert isinstance(second, DeadLetter)
    assert (first, third) == (start("a"), start("a"))
    assert (second.topic, second.partition, second.offset, second.value) == ("run-steps", right, 1, b"x")
    elsewhere = owners[1].inbox[0].command
    assert isinstance(elsewhere, DeadLetter)
    assert f"belongs to partition {right}" in elsewhere.reason
