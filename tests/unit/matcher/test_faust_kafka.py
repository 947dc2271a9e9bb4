"""Our settings as Faust and its consumer get them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from intervaltree import IntervalTree

from penstock.errors import Fenced, Unavailable
from penstock.matcher.acknowledgements import Place
from penstock.matcher.app import options
from penstock.matcher.faust_kafka import TAKEN_AGAIN_SECONDS, consumer_options, transport
from penstock.settings import KafkaSettings, MatcherSettings


def test_only_committed_records_are_read_and_nothing_is_committed_unasked() -> None:
    """Fast enough to notice a dead member, from the beginning when the group is new."""
    made = consumer_options(KafkaSettings(kafka_session_timeout_ms=8000), "g")
    assert made["isolation_level"] == "read_committed"
    assert made["enable_auto_commit"] is False
    assert made["auto_offset_reset"] == "earliest"
    assert (made["session_timeout_ms"], made["heartbeat_interval_ms"]) == (8000, 300)
    assert made["ssl_context"] is None


def test_partitions_of_one_number_belong_to_one_member() -> None:
    """The assignor is one that keeps topics with equal counts together, for any number of members."""
    (assignor,) = consumer_options(KafkaSettings(), "g")["partition_assignment_strategy"]
    topics = {"waits": set(range(5)), "correlations": set(range(5)), "events": set(range(3))}
    cluster = SimpleNamespace(partitions_for_topic=topics.get)
    for members in range(1, 7):
        metadata = {f"m{n}": assignor.metadata(topics) for n in range(members)}
        for given in assignor.assign(cluster, metadata).values():
            by_topic = dict(given.assignment)
            assert by_topic.get("waits", []) == by_topic.get("correlations", [])


def test_credentials_reach_the_consumer() -> None:
    """SASL with and without TLS."""
    sasl = KafkaSettings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="me",
        kafka_sasl_password="secret",
    )
    made = consumer_options(sasl, "g")
    assert made["security_protocol"] == "SASL_PLAINTEXT"
    assert made["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (made["sasl_plain_username"], made["sasl_plain_password"]) == ("me", "secret")
    assert made["ssl_context"] is None
    tls = consumer_options(sasl.model_copy(update={"kafka_security_protocol": "SASL_SSL"}), "g")
    assert tls["ssl_context"] is not None


def test_every_bootstrap_server_is_tried() -> None:
    """The consumer gets the whole list."""
    assert consumer_options(KafkaSettings(kafka_bootstrap_servers="a:1,b:2"), "g")["bootstrap_servers"] == "a:1,b:2"


def test_faust_keeps_to_itself() -> None:
    """No topics of its own, no web server, no acknowledgements but ours; the group carries the prefix."""
    made = options(MatcherSettings(data_dir=Path("d")), KafkaSettings(topic_prefix="p."))
    assert made["id"] == "p.matcher"
    assert made["topic_allow_declare"] is False
    assert made["topic_disable_leader"] is True
    assert made["web_enabled"] is False
    assert made["stream_ack_exceptions"] is False


class Committing:
    """A consumer of one partition, as far as it decides what to commit."""

    def __init__(self) -> None:
        app = faust.App("test", broker="kafka://127.0.0.1:1", datadir="/nonexistent", web_enabled=False)
        self.place = TP("waits", 0)
        made: Any = transport(app, KafkaSettings()).Consumer
        self.consumer = object.__new__(made)
        self.consumer._gap = defaultdict(IntervalTree)
        self.consumer._acked = defaultdict(list)
        self.consumer._acked_index = defaultdict(set)
        self.consumer._committed_offset = defaultdict(lambda: 10)

    async def read(self, *offsets: int) -> None:
        """Records at these offsets come, the first behind offset 9."""
        for before, offset in zip((9, *offsets), offsets, strict=False):
            if offset - before > 1:
                await self.consumer._add_gap(self.place, before + 1, offset)

    def acknowledge(self, *offsets: int) -> None:
        self.consumer._acked[self.place] += offsets

    def committed(self) -> int:
        """Commit what can be; the offset that is committed then."""
        offset: int | None = self.consumer._new_offset(self.place)
        if offset is not None:
            self.consumer._committed_offset[self.place] = offset
        committed: int = self.consumer._committed_offset[self.place]
        return committed


async def test_a_record_behind_a_marker_is_not_committed_before_it_is_matched() -> None:
    """Each transaction of one record leaves a marker; what is acknowledged out of order waits for what is not."""
    partition = Committing()
    await partition.read(10, 12, 14, 16)
    partition.acknowledge(10, 14)
    assert partition.committed() == 12
    partition.acknowledge(12)
    assert partition.committed() == 15


async def test_a_gap_behind_the_first_offset_of_all_holds_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record at offset 0, then what a transaction aborted: what lies behind is committed when it is matched."""
    partition = Committing()
    consumer, read = partition.consumer, (0, 4, 5)
    consumer._read_offset = defaultdict(lambda: None)
    consumer._committed_offset = defaultdict(lambda: None)

    async def records(*_: object) -> AsyncIterator[tuple[TP, SimpleNamespace]]:
        for offset in read:
            yield partition.place, SimpleNamespace(offset=offset, timestamp=time.time())

    monkeypatch.setattr(driver.Consumer, "getmany", records)
    async for place, message in consumer.getmany(1.0):
        consumer._read_offset[place] = message.offset
    partition.acknowledge(0)
    assert partition.committed() == 1
    partition.acknowledge(4, 5)
    assert partition.committed() == 6


class Truncated:
    """A consumer that has read and committed up to offset 10, and is now given records from the log's start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, end: int, ages: tuple[float, ...]) -> None:
        self.partition, self.consumer = Committing(), Committing().consumer
        self.partition.consumer = self.consumer
        self.consumer._read_offset = defaultdict(lambda: 10)
        self.consumer.highwater = lambda _place: end
        place = self.partition.place

        async def records(*_: object) -> AsyncIterator[tuple[TP, SimpleNamespace]]:
            for offset, age in enumerate(ages):
                yield place, SimpleNamespace(offset=offset, timestamp=time.time() - age)

        monkeypatch.setattr(driver.Consumer, "getmany", records)

    async def taken(self) -> list[int]:
        """The offsets that Faust does not pass over."""
        found: list[int] = []
        async for place, message in self.consumer.getmany(1.0):
            read = self.consumer._read_offset[place]
            if read is None or message.offset >= read:
                self.consumer._read_offset[place] = message.offset
                found.append(message.offset)
        return found


async def test_a_partition_that_lost_its_tail_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """New records lie at offsets that were matched before; what is so old that a repeat would count stays out."""
    old = TAKEN_AGAIN_SECONDS + 60
    log = Truncated(monkeypatch, 5, (old, old, 60, 30, 0))
    log.partition.acknowledge(11)
    assert await log.taken() == [2, 3, 4]
    log.partition.acknowledge(2, 3)
    assert log.partition.committed() == 4
    log.partition.acknowledge(4)
    assert log.partition.committed() == 5


async def test_records_that_come_twice_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log reaches as far as we have read: nothing is lost, and nothing is taken again."""
    assert await Truncated(monkeypatch, 10, (3, 2, 1)).taken() == []


async def test_all_that_is_matched_is_committed_at_once() -> None:
    """Markers between the records do not hold it back."""
    partition = Committing()
    await partition.read(*range(10, 210, 2))
    partition.acknowledge(*range(10, 210, 2))
    assert partition.committed() == 209


class Thread:
    """Where commits go."""

    def __init__(self) -> None:
        self.stored: list[dict[TP, tuple[int, str]]] = []
        self.gone_on = False

    async def store(self, offsets: dict[TP, OffsetAndMetadata], read_on: bool = False) -> None:
        if self.gone_on:
            raise Fenced("the group has gone on without us")
        self.stored.append({place: (at.offset, at.metadata) for place, at in offsets.items()})


class Noting:
    """A consumer with notes in the test's hands."""

    def __init__(self) -> None:
        app = faust.App("test", broker="kafka://127.0.0.1:1", datadir="/nonexistent", web_enabled=False)
        self.notes: dict[Place, str] = {}
        made: Any = transport(app, KafkaSettings(), note=self.notes.get).Consumer
        self.consumer = object.__new__(made)
        self.consumer.app = SimpleNamespace(rebalancing=False)
        self.consumer._committed_offset = defaultdict(lambda: None, {ONE: 7})
        self.consumer._acked = {ONE: [1], TWO: [1]}
        self.thread = self.consumer._ours = Thread()


ONE, TWO = TP("events", 0), TP("events", 1)


async def test_offsets_are_committed_with_their_notes_or_not_at_all() -> None:
    """One without a note is not even counted as acknowledged, and is not committed if its note is gone since."""
    noting = Noting()
    noting.notes[ONE] = "a"
    assert list(noting.consumer._filter_tps_with_pending_acks()) == [ONE]
    assert await noting.consumer._commit({ONE: 8, TWO: 3})
    assert noting.thread.stored == [{ONE: (8, "a")}]


async def test_a_group_that_has_gone_on_takes_no_offsets() -> None:
    """Faust hears that nothing was committed, and goes on; notes are lost, for another has the partition."""
    noting = Noting()
    noting.notes[ONE] = "a"
    noting.thread.gone_on = True
    assert not await noting.consumer._commit({ONE: 8})
    await noting.consumer.note_again([ONE])
    assert noting.consumer._commit_fut is None


async def test_a_note_is_stored_again_with_the_offset_that_is_committed() -> None:
    """Between commits and outside of a rebalance; a partition without an offset is read from its beginning anyway."""
    noting = Noting()
    noting.notes |= {ONE: "old", TWO: "b"}
    noting.consumer._commit_fut = asyncio.get_running_loop().create_future()
    noting.consumer.app.rebalancing = True
    again = asyncio.create_task(noting.consumer.note_again([ONE, TWO]))
    await asyncio.wait([again], timeout=0.05)
    assert noting.thread.stored == []
    noting.consumer._commit_fut = None
    await asyncio.wait([again], timeout=0.05)
    assert noting.thread.stored == []
    noting.notes[ONE] = "new"
    noting.consumer._committed_offset[ONE] = 9
    noting.consumer.app.rebalancing = False
    await asyncio.wait_for(again, 5)
    assert noting.thread.stored == [{ONE: (9, "new")}]


async def test_a_note_holds_only_for_the_offset_at_which_we_began_to_read() -> None:
    """What an earlier member stored after we had looked says nothing of the records between."""
    noting = Noting()

    async def stored(places: list[Place]) -> dict[Place, tuple[int, str]]:
        return {ONE: (7, "a"), TWO: (100, "b")}

    noting.thread.stored = stored  # type: ignore[method-assign,assignment]
    noting.consumer._committed_offset[TWO] = 200
    assert await noting.consumer.stored([ONE, TWO]) == {ONE: (7, "a"), TWO: (200, "")}


async def test_a_coordinator_that_takes_no_offsets_ends_the_worker_in_order() -> None:
    """An error that a stop ran into would leave the consumer's thread in the group."""
    noting = Noting()
    noting.notes[ONE] = "a"
    crashed: list[Exception] = []

    async def refused(*_: Any, **__: Any) -> None:
        raise Unavailable("no")

    async def crash(error: Exception) -> None:
        crashed.append(error)

    noting.thread.store = refused  # type: ignore[method-assign]
    noting.consumer.crash = crash
    assert not await noting.consumer._commit({ONE: 8})
    assert [str(error) for error in crashed] == ["no"]
