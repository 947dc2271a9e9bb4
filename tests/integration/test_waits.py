"""Waits meet events, on a real broker and with real matcher processes, whoever of the two comes first and who dies."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.kafka import clients
from penstock.kafka.partition_log import KafkaPartitionLog
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, run_id, run_partition
from penstock.messages.keys import correlation_partition, shape_key, wait_key
from penstock.messages.records import DeadLetter, Event, ResumeRun, Wait, WaitShape
from penstock.settings import KafkaSettings
from tests.integration.test_matcher import MatcherProcess, wait_until

CODEC = Codec()
PATH = "data.user"
HOUR_MS = 3_600_000
StartMatcher = Callable[..., MatcherProcess]


class Client:
    """Writes waits, shapes and events as their owners do; reads what runs are told."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self.topics = kafka.topics()
        self.producer = Producer(clients.producer(kafka, "test"))
        self._reader = Consumer(clients.consumer(kafka, "test", "test") | {"fetch.wait.max.ms": 50})
        self._reader.assign([TopicPartition(self.topics.run_steps, n, 0) for n in range(kafka.run_partitions)])
        self.resumed: list[ResumeRun] = []

    def shape(self, event: str, since: int, path: str = PATH) -> None:
        shape = WaitShape(event, path, since, now() + HOUR_MS, now())
        self.producer.produce(self.topics.wait_shapes, CODEC.encode(shape), shape_key(event, path), partition=0)
        assert self.producer.flush(20) == 0

    def waits(self, waits: Iterable[Wait]) -> None:
        for wait in waits:
            self._put(wait_key(wait), CODEC.encode(wait))
        assert self.producer.flush(60) == 0

    def end(self, wait: Wait) -> None:
        self._put(wait_key(wait), None)
        assert self.producer.flush(20) == 0

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            self.producer.produce(self.topics.events, CODEC.encode(event), event.id)
            self.producer.poll(0)
        assert self.producer.flush(60) == 0

    def take_resumes(self, seconds: float = 0.2) -> None:
        first = self._reader.poll(seconds)
        for message in [] if first is None else [first, *self._reader.consume(1000, 0.05)]:
            command = CODEC.decode(message.value() or b"")
            if isinstance(command, ResumeRun):
                assert message.partition() == run_partition(command.run_id, self.kafka.run_partitions)
                self.resumed.append(command)

    def wait_resumed(self, runs: set[RunId], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not runs <= self.resumed_runs():
            missing = runs - self.resumed_runs()
            assert time.monotonic() < deadline, f"{len(missing)} of {len(runs)} runs are not resumed"
            self.take_resumes()

    def resumed_runs(self) -> set[RunId]:
        return {command.run_id for command in self.resumed}

    def dead_letters(self, count: int) -> list[DeadLetter]:
        reader = Consumer(clients.consumer(self.kafka, "test", "test"))
        reader.assign([TopicPartition(self.topics.dead_letters, 0, 0)])
        messages = reader.consume(count, 30.0)
        reader.close()
        assert len(messages) == count
        return [CODEC.decode_as(DeadLetter, message.value() or b"") for message in messages]

    def lag(self) -> int:
        """Records of the matcher's topics that its group has not committed."""
        group = Consumer(clients.consumer(self.kafka, "test", f"{self.kafka.topic_prefix}matcher"))
        counts = {
            self.topics.events: self.kafka.event_partitions,
            self.topics.internal_events: self.kafka.event_partitions,
            self.topics.waits: self.kafka.wait_partitions,
            self.topics.correlations: self.kafka.wait_partitions,
        }
        try:
            places = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
            ends = {(p.topic, p.partition): group.get_watermark_offsets(p, timeout=10)[1] for p in places}
            return sum(ends[p.topic, p.partition] - max(p.offset, 0) for p in group.committed(places, timeout=10))
        finally:
            group.close()

    def stored(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Offsets of events, with what the matcher's group has noted beside them."""

        async def asked() -> dict[tuple[str, int], tuple[int, str]]:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.kafka_bootstrap_servers)
            await admin.start()
            try:
                found = await admin.list_consumer_group_offsets(f"{self.kafka.topic_prefix}matcher")
            finally:
                await admin.close()
            return {(p.topic, p.partition): tuple(at) for p, at in found.items() if p.topic == self.topics.events}

        return asyncio.run(asked())

    def correlated(self) -> int:
        """How many events were handed over to waits."""
        logs = [KafkaPartitionLog(self.kafka, self.topics.correlations, n) for n in range(self.kafka.wait_partitions)]
        try:
            return sum(log.bounds()[1] for log in logs)
        finally:
            for log in logs:
                log.close()

    def wait_settled(self) -> None:
        wait_until(lambda: self.lag() == 0, "the matcher has committed everything")

    def close(self) -> None:
        self._reader.close()

    def _put(self, key: str, value: bytes | None) -> None:
        partition = correlation_partition(key, self.kafka.wait_partitions)
        self.producer.produce(self.topics.waits, value, key, partition=partition)
        self.producer.poll(0)


def now() -> int:
    return time.time_ns() // 1_000_000


def wait_for(user: str, event: str = "shop/paid", since: int | None = None, number: int = 0) -> Wait:
    run = run_id(FunctionKey("app/f"), f"{event}{user}{number}", now())
    at = now()
    begin = at - 1000 if since is None else since
    return Wait(run, JobId("wait/s"), event, PATH, f'"{user}"', "", "{}", begin, at + HOUR_MS, at, ())


def paid(user: str, event: str = "shop/paid") -> Event:
    return Event(event, f'{{"user": "{user}"}}', id=f"{event}-{user}", source="http", received_at=now(), ts=now())


@pytest.fixture
def client(kafka_settings: KafkaSettings) -> Iterator[Client]:
    one = Client(kafka_settings)
    yield one
    one.close()


@pytest.fixture
def start_matcher(kafka_settings: KafkaSettings, tmp_path: Path) -> Iterator[StartMatcher]:
    started: list[MatcherProcess] = []

    def start(folder: str = "matcher") -> MatcherProcess:
        one = MatcherProcess(kafka_settings, tmp_path / folder)
        started.append(one)
        one.wait_ready()
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        print(one.log.read_text())


def test_an_event_resumes_the_runs_that_wait_for_it(client: Client, start_matcher: StartMatcher) -> None:
    """One event ends every wait of its value, with the event as its answer, and no other wait."""
    start_matcher()
    waits = [wait_for("ada", number=n) for n in range(3)]
    client.shape("shop/paid", now())
    client.waits([*waits, wait_for("bob")])
    client.wait_settled()
    client.events([paid("ada")])
    client.wait_resumed({wait.run_id for wait in waits})
    client.wait_settled()
    client.take_resumes()
    assert client.resumed_runs() == {wait.run_id for wait in waits}
    assert all('"user": "ada"' in command.event for command in client.resumed)


def test_an_event_before_its_wait_is_seen(client: Client, start_matcher: StartMatcher) -> None:
    """A wait looks back on events since its last step began: correlated ones, and none from before."""
    start_matcher()
    client.shape("shop/paid", now())
    client.waits([wait_for("nobody")])
    before = now()
    client.events([paid("ada"), paid("bob")])
    client.wait_settled()
    late, too_late = wait_for("ada", since=before), wait_for("bob", since=now() + 10)
    client.waits([late, too_late])
    client.wait_resumed({late.run_id})
    client.wait_settled()
    client.take_resumes()
    assert client.resumed_runs() == {late.run_id}


def test_events_matched_before_their_shape_was_known_are_found(client: Client, start_matcher: StartMatcher) -> None:
    """A shape that is seen for the first time makes the matcher look through its partitions."""
    start_matcher()
    before = now()
    client.events(paid(f"u{n}") for n in range(50))
    client.wait_settled()
    waits = [wait_for(f"u{n}", since=before) for n in range(50)]
    client.waits(waits)
    client.shape("shop/paid", before)
    client.wait_resumed({wait.run_id for wait in waits})


def test_what_was_looked_back_for_is_noted_beside_the_offsets(client: Client, start_matcher: StartMatcher) -> None:
    """Also of partitions in which nothing happens any more; the next matcher does not look again."""
    first = start_matcher()
    before = now()
    client.events(paid(f"u{n}") for n in range(50))
    client.wait_settled()
    offsets = {place: offset for place, (offset, _) in client.stored().items()}
    client.shape("shop/paid", before)
    noted = {place: (offset, "wait-shapes 1") for place, offset in offsets.items()}
    wait_until(lambda: client.stored() == noted, "it is noted")
    client.wait_settled()
    first.kill()
    correlated = client.correlated()
    start_matcher()
    late = wait_for("u7", since=before)
    client.waits([late])
    client.wait_resumed({late.run_id})
    client.wait_settled()
    assert client.correlated() == correlated
    assert client.stored() == noted


def test_a_shape_that_came_while_the_matcher_was_down(client: Client, start_matcher: StartMatcher) -> None:
    """Events were matched, then the matcher died, then waits and their shape came: the next one looks back."""
    first = start_matcher()
    before = now()
    client.events(paid(f"u{n}") for n in range(20))
    client.wait_settled()
    first.kill()
    waits = [wait_for(f"u{n}", since=before) for n in range(20)]
    client.waits(waits)
    client.shape("shop/paid", before)
    start_matcher()
    client.wait_resumed({wait.run_id for wait in waits})


def test_a_matcher_without_its_files_builds_the_table_again(
    client: Client, start_matcher: StartMatcher, tmp_path: Path
) -> None:
    """Waits come from their topic, recent events from theirs; ended waits do not come back."""
    first = start_matcher()
    before = now()
    client.shape("shop/paid", before)
    waits, ended = [wait_for(f"u{n}", since=before) for n in range(20)], wait_for("u0", since=before, number=1)
    client.waits([*waits, ended])
    client.events([paid("early")])
    client.end(ended)
    client.wait_settled()
    assert first.stop() == 0
    shutil.rmtree(tmp_path / "matcher" / "waits")
    start_matcher()
    late = wait_for("early", since=before)
    client.waits([late])
    client.events(paid(f"u{n}") for n in range(20))
    client.wait_resumed({wait.run_id for wait in (*waits, late)})
    client.wait_settled()
    client.take_resumes()
    assert ended.run_id not in client.resumed_runs()


def test_what_is_no_wait_is_a_dead_letter_and_blocks_nothing(client: Client, start_matcher: StartMatcher) -> None:
    """On both topics, before the matcher comes and while it is there."""
    waits, correlations = client.topics.waits, client.topics.correlations
    misplaced = wait_for("ada")
    client.producer.produce(waits, b"garbage", b"key", partition=0)
    client.producer.produce(waits, CODEC.encode(misplaced), b"elsewhere", partition=0)
    assert client.producer.flush(20) == 0
    start_matcher()
    client.dead_letters(2)
    client.producer.produce(waits, CODEC.encode(misplaced), b"\0e", partition=0)
    client.producer.produce(correlations, None, b"key", partition=0)
    assert client.producer.flush(20) == 0
    reasons = [letter.reason for letter in client.dead_letters(4)]
    assert sum("the key of this wait must be" in reason for reason in reasons) == 2
    waits_of_all = [wait_for(f"u{n}") for n in range(20)]
    client.shape("shop/paid", now())
    client.waits(waits_of_all)
    client.events(paid(f"u{n}") for n in range(20))
    client.wait_resumed({wait.run_id for wait in waits_of_all})
    client.wait_settled()


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_kill_9_in_a_storm_loses_no_resume(client: Client, start_matcher: StartMatcher) -> None:
    """Three times killed while waits, shapes and events come in, in any order: every wait has met its event."""
    expected: set[RunId] = set()
    running = start_matcher()
    for life in range(3):
        name, before = f"shop/paid-{life}", now()
        waits = [wait_for(f"u{n}", name, before) for n in range(1000)]
        expected |= {wait.run_id for wait in waits}
        client.waits(waits[:300])
        client.events(paid(f"u{n}", name) for n in range(0, 1000, 2))
        client.shape(name, before)
        client.waits(waits[300:])
        client.events(paid(f"u{n}", name) for n in range(1, 1000, 2))
        before_kill = len(client.resumed)
        deadline = time.monotonic() + 60
        while len(client.resumed) - before_kill < 100:
            client.take_resumes(0.05)
            assert time.monotonic() < deadline
        assert not expected <= client.resumed_runs(), "it was killed before it was done"
        running.kill()
        running = start_matcher()
    client.wait_resumed(expected)
    assert client.resumed_runs() == expected
    client.wait_settled()


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_partitions_that_move_lose_no_resume(client: Client, start_matcher: StartMatcher) -> None:
    """Matchers with folders of their own join, stop and are killed: waits and events still meet, early or late."""
    before = now()
    first = start_matcher("a")
    client.shape("shop/paid", before)
    waits = [wait_for(f"u{n}", since=before) for n in range(1500)]
    client.waits(waits[:500])
    client.events(paid(f"u{n}") for n in range(500, 1000))
    second = start_matcher("b")
    client.waits(waits[500:1000])
    client.events(paid(f"u{n}") for n in range(1000, 1500))
    assert first.stop() == 0
    start_matcher("c")
    client.events(paid(f"u{n}") for n in range(500))
    second.kill()
    client.waits(waits[1000:])
    client.wait_resumed({wait.run_id for wait in waits})
    client.wait_settled()


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_first_shape_survives_kill_9(client: Client, start_matcher: StartMatcher) -> None:
    """Killed while it looks through its partitions for a new shape: the next one does it, nothing is missed."""
    running = start_matcher()
    before = now()
    client.events(paid(f"u{n}") for n in range(2000))
    client.wait_settled()
    waits = [wait_for(f"u{n}", since=before) for n in range(2000)]
    client.waits(waits)
    client.shape("shop/paid", before)
    deadline = time.monotonic() + 60
    while not client.resumed:
        client.take_resumes(0.02)
        assert time.monotonic() < deadline
    running.kill()
    start_matcher()
    client.wait_resumed({wait.run_id for wait in waits})
    client.wait_settled()
