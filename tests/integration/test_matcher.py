"""The matcher as a process on a real broker: what lies on the event topics starts runs, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.kafka import clients
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, RunId, run_partition
from penstock.messages.records import DeadLetter, Event, Function, StartRun
from penstock.settings import KafkaSettings

CODEC = Codec()
READY_SECONDS = 90.0
StartMatcher = Callable[[], "MatcherProcess"]


class MatcherProcess:
    """`penstock matcher`, with its output in a file."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "matcher.log"
        environment = os.environ | {
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
            "PENSTOCK_TOPIC_PREFIX": kafka.topic_prefix,
            "PENSTOCK_DATA_DIR": str(folder),
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "-P", "-m", "penstock", "matcher"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while b"matcher: reads" not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Client:
    """Writes events and functions, reads commands and dead letters; remembers where its reading stands."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self.topics = kafka.topics()
        self.producer = Producer(clients.producer(kafka, "test"))
        self._reader = Consumer(clients.consumer(kafka, "test", "test") | {"fetch.wait.max.ms": 50})
        self._reader.assign([TopicPartition(self.topics.run_steps, n, 0) for n in range(kafka.run_partitions)])

    def register(self, slug: str, *triggers: EventTrigger) -> int:
        """Put a function on the registry topic; its offset."""
        key = FunctionKey(f"app/{slug}")
        config = FunctionConfig(key, "app", slug, slug, "http://127.0.0.1/x", triggers)
        offsets: list[int] = []
        record = Function(key, "app", slug, slug, 1, config.to_json(), 1)
        self.producer.produce(
            self.topics.functions,
            key=key,
            value=CODEC.encode(record),
            on_delivery=lambda _error, message: offsets.append(message.offset()),
        )
        self.producer.flush(10)
        return offsets[0]

    def send(self, value: bytes, **record: object) -> None:
        self.producer.produce(self.topics.events, value=value, **record)  # type: ignore[arg-type]
        assert self.producer.flush(20) == 0

    def send_many(self, ids: list[str]) -> None:
        for event_id in ids:
            self.producer.produce(self.topics.events, key=event_id, value=event(event_id))
            self.producer.poll(0)
        assert self.producer.flush(60) == 0

    def starts_within(self, seconds: float) -> list[StartRun]:
        """What has been commanded since the last call, as soon as there is something, within the time."""
        first = self._reader.poll(seconds)
        messages = [] if first is None else [first, *self._reader.consume(1000, 0.05)]
        return [self._start(message) for message in messages]

    def starts(self, until: Callable[[list[StartRun]], bool], seconds: float = 60.0) -> list[StartRun]:
        """Everything commanded until the condition holds for it."""
        found: list[StartRun] = []
        deadline = time.monotonic() + seconds
        while not until(found):
            assert time.monotonic() < deadline, f"{len(found)} starts, and then no more"
            found += self.starts_within(0.2)
        return found

    def dead_letters(self, count: int) -> list[DeadLetter]:
        reader = Consumer(clients.consumer(self.kafka, "test", "test"))
        reader.assign([TopicPartition(self.topics.dead_letters, 0, 0)])
        messages = reader.consume(count, 30.0)
        reader.close()
        assert len(messages) == count
        return [CODEC.decode_as(DeadLetter, message.value() or b"") for message in messages]

    def lag(self) -> int:
        """Records of the event topics that the matcher's group has not committed."""
        group = Consumer(clients.consumer(self.kafka, "test", f"{self.kafka.topic_prefix}matcher"))
        try:
            places = [
                TopicPartition(topic, n)
                for topic in (self.topics.events, self.topics.internal_events)
                for n in range(self.kafka.event_partitions)
            ]
            ends = {(p.topic, p.partition): group.get_watermark_offsets(p, timeout=10)[1] for p in places}
            committed = group.committed(places, timeout=10)
            return sum(ends[p.topic, p.partition] - max(p.offset, 0) for p in committed)
        finally:
            group.close()

    def close(self) -> None:
        self._reader.close()

    def _start(self, message: Message) -> StartRun:
        assert message.error() is None
        start = CODEC.decode_as(StartRun, message.value() or b"")
        assert message.key() == start.run_id.encode()
        assert message.partition() == run_partition(RunId(start.run_id), self.kafka.run_partitions)
        return start


def event(event_id: str, name: str = "shop/placed") -> bytes:
    return CODEC.encode(Event(name, '{"n": 1}', id=event_id, source="http"))


def ids_of(starts: list[StartRun]) -> set[str]:
    return {start.dedupe_key or "" for start in starts}


@pytest.fixture
def client(kafka_settings: KafkaSettings) -> Iterator[Client]:
    one = Client(kafka_settings)
    yield one
    one.close()


@pytest.fixture
def start_matcher(kafka_settings: KafkaSettings, tmp_path: Path) -> Iterator[StartMatcher]:
    started: list[MatcherProcess] = []

    def start() -> MatcherProcess:
        one = MatcherProcess(kafka_settings, tmp_path / f"matcher-{len(started)}")
        started.append(one)
        return one

    yield start
    for one in started:
        print(f"{one.log.parent.name} (exit code {one.process.poll()}): {one.log.read_text()}")  # shown on failure
        one.kill()


@pytest.fixture
def matcher(client: Client, start_matcher: StartMatcher) -> MatcherProcess:
    """A matcher that knows the function `f` on `shop/placed`, ready."""
    client.register("f", EventTrigger("shop/placed"))
    one = start_matcher()
    one.wait_ready()
    return one


def test_any_producer_starts_runs(client: Client, matcher: MatcherProcess) -> None:
    """A plain Kafka producer with any compression, JSON or Avro, starts runs at their owners."""
    expected: set[str] = set()
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
        servers = client.kafka.kafka_bootstrap_servers
        producer = Producer({"bootstrap.servers": servers, "compression.type": compression})
        body = {"name": "shop/placed", "id": f"json-{compression}", "data": {"pad": "x" * 5000}}
        producer.produce(client.topics.events, value=orjson.dumps(body))
        producer.produce(client.topics.events, value=event(f"avro-{compression}"))
        assert producer.flush(20) == 0
        expected |= {f"json-{compression}", f"avro-{compression}"}
    starts = client.starts(lambda found: len(ids_of(found)) >= len(expected))
    assert ids_of(starts) == expected
    of_json = next(start for start in starts if start.dedupe_key == "json-zstd")
    assert orjson.loads(of_json.events[0])["data"] == {"pad": "x" * 5000}
    assert of_json.function == "app/f"


def test_what_cannot_be_decoded_is_a_dead_letter_and_holds_up_nobody(client: Client, matcher: MatcherProcess) -> None:
    """Broken bytes, nothing at all and reserved names are kept with place and reason; the next event starts its run."""
    broken = [b"\xff\x00garbage", None, b'{"data": {}}', b'{"name": "inngest/function.failed", "data": {}}']
    for value in broken:
        client.producer.produce(client.topics.events, key=b"the key", value=value, partition=0, headers={"a": b"1"})
    client.send(event("good"), partition=0)
    assert ids_of(client.starts(lambda found: bool(found))) == {"good"}
    letters = client.dead_letters(len(broken))
    assert [letter.value for letter in letters] == broken
    assert [letter.offset for letter in letters] == [0, 1, 2, 3]
    assert all(letter.key == b"the key" and letter.headers == {"a": b"1"} for letter in letters)
    assert all(letter.topic == client.topics.events and letter.reason for letter in letters)


WRITE_NO_TEXT = """
import asyncio, sys
from aiokafka import AIOKafkaProducer
class NoText(str):
    def encode(self, *_): return bytes([255])
async def main():
    async with AIOKafkaProducer(bootstrap_servers=sys.argv[1]) as producer:
        await producer.send_and_wait(sys.argv[2], sys.argv[3].encode(), headers=[(NoText("x"), None)])
asyncio.run(main())
"""


def test_a_header_name_that_is_no_text_stops_nothing(client: Client, matcher: MatcherProcess) -> None:
    """Kafka takes any bytes as a header's name; the event starts its run as any other."""
    body = orjson.dumps({"name": "shop/placed", "id": "odd"}).decode()
    servers = client.kafka.kafka_bootstrap_servers
    subprocess.run(
        [sys.executable, "-c", WRITE_NO_TEXT, servers, client.topics.events, body],
        env=os.environ | {"AIOKAFKA_NO_EXTENSIONS": "1"},  # its C encoder takes no such name
        check=True,
        timeout=30,
    )
    client.send(event("next"))
    assert ids_of(client.starts(lambda found: len(found) >= 2)) == {"odd", "next"}


def test_functions_registered_later_are_triggered_at_once(client: Client, matcher: MatcherProcess) -> None:
    """The table follows its topic; an event that names an offset ahead of it waits until it is there."""
    ahead = client.register("other", EventTrigger("other")) + 1
    client.send(event("early", "late/function"), headers={"penstock-registry": str(ahead).encode()})
    assert client.starts_within(0.5) == []
    assert client.register("late", EventTrigger("late/*")) == ahead
    (start,) = client.starts(lambda found: bool(found))
    assert (start.function, start.dedupe_key) == ("app/late", "early")
    assert start.registry_offset >= ahead


def test_an_event_that_waits_in_vain_is_matched_with_what_is_known(client: Client, matcher: MatcherProcess) -> None:
    """A header that no registry will ever reach delays an event, it does not stop the matcher."""
    client.send(event("far"), headers={"penstock-registry": b"999999999"})
    (start,) = client.starts(lambda found: bool(found), seconds=40)
    assert start.dedupe_key == "far"


def test_only_committed_system_events_count(client: Client, start_matcher: StartMatcher) -> None:
    """What a transaction aborted starts nothing, and the gaps that transactions leave do not stop the offsets."""
    client.register("on-failure", EventTrigger("inngest/function.failed", "event.data.function_id == 'app-f'"))
    start_matcher().wait_ready()
    producer = Producer(
        clients.transactional_producer(client.kafka, "test", f"{client.kafka.topic_prefix}test-transactions")
    )
    producer.init_transactions(20)
    for n in range(20):
        body = Event("inngest/function.failed", '{"function_id": "app-f"}', id=f"{n}", source="executor")
        producer.begin_transaction()
        producer.produce(client.topics.internal_events, value=CODEC.encode(body), partition=n % 2)
        (producer.abort_transaction if n % 4 == 3 else producer.commit_transaction)(20)
    committed = {str(n) for n in range(20) if n % 4 != 3}
    starts = client.starts(lambda found: len(ids_of(found)) >= len(committed))
    assert ids_of(starts) == committed
    # The marker after the last record is nothing to acknowledge: one per partition may stay uncommitted.
    wait_until(lambda: client.lag() <= 4, "the offsets of the system's events are committed")


def test_an_aborted_transaction_behind_the_first_record_does_not_stop_the_offsets(
    client: Client, matcher: MatcherProcess
) -> None:
    """A record at offset 0, then offsets without a record: what comes behind them is committed all the same."""
    client.send(event("first"), partition=0)
    producer = Producer(
        clients.transactional_producer(client.kafka, "test", f"{client.kafka.topic_prefix}test-transactions")
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    for n in range(3):
        producer.produce(client.topics.events, value=event(f"aborted-{n}"), partition=0)
    producer.flush(20)
    producer.abort_transaction(20)
    client.send(event("last"), partition=0)
    starts = client.starts(lambda found: len(ids_of(found)) >= 2)
    assert ids_of(starts) == {"first", "last"}
    # The marker of the transaction may come behind the last record, and is nothing to acknowledge.
    wait_until(lambda: client.lag() <= 1, "the offsets behind the gap are committed")


def test_a_partition_that_ends_before_what_was_matched_is_taken_again(
    client: Client, start_matcher: StartMatcher
) -> None:
    """A log that lost its tail has new events at offsets that were committed before: they start their runs."""
    client.register("f", EventTrigger("shop/placed"))
    client.send(event("first"), partition=0)
    group = Consumer(clients.consumer(client.kafka, "test", f"{client.kafka.topic_prefix}matcher"))
    group.commit(offsets=[TopicPartition(client.topics.events, 0, 1000)], asynchronous=False)
    group.close()
    start_matcher().wait_ready()
    client.send(event("second"), partition=0)
    starts = client.starts(lambda found: len(ids_of(found)) >= 2)
    assert ids_of(starts) == {"first", "second"}
    wait_until(lambda: client.lag() == 0, "the offsets of the log that is there are committed")


def test_a_stop_finishes_its_work_and_the_next_start_repeats_nothing(
    client: Client, matcher: MatcherProcess, start_matcher: StartMatcher
) -> None:
    """SIGTERM: exit code 0, offsets committed; another matcher goes on where this one stopped."""
    first = [f"first-{n}" for n in range(300)]
    client.send_many(first)
    client.starts(lambda found: len(ids_of(found)) == len(first))
    wait_until(lambda: client.lag() == 0, "offsets are committed")
    assert matcher.stop() == 0
    start_matcher().wait_ready()
    client.send_many(["second"])
    assert ids_of(client.starts(lambda found: bool(found))) == {"second"}


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_kill_9_under_load_loses_nothing(client: Client, matcher: MatcherProcess, start_matcher: StartMatcher) -> None:
    """Three times killed while events come in: every event has started its run, repeats name the same run."""
    started: list[StartRun] = []
    expected: set[str] = set()
    running = matcher
    for life in range(3):
        ids = [f"{life}-{n}" for n in range(2000)]
        expected.update(ids)
        client.send_many(ids)
        before = len(started)
        started += client.starts(lambda found: len(found) > 300)
        assert len(ids_of(started[before:])) < len(expected), "it was killed before it was done"
        running.kill()
        running = start_matcher()
    running.wait_ready()
    started += client.starts(lambda found: ids_of(started + found) >= expected)
    assert ids_of(started) == expected
    assert len({start.run_id for start in started}) == len(expected)
    wait_until(lambda: client.lag() == 0, "everything is acknowledged")


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_matchers_that_join_and_leave_lose_nothing(
    client: Client, matcher: MatcherProcess, start_matcher: StartMatcher
) -> None:
    """Partitions move under load, by a join, a stop and a kill: every event has started its run."""
    expected = {f"{n}" for n in range(6000)}
    ids = sorted(expected)
    started: list[StartRun] = []
    client.send_many(ids[:2000])
    second = start_matcher()
    second.wait_ready()
    client.send_many(ids[2000:4000])
    started += client.starts(lambda found: len(found) > 200)
    assert matcher.stop() == 0
    third = start_matcher()
    third.wait_ready()
    client.send_many(ids[4000:])
    started += client.starts(lambda found: len(found) > 200)
    second.kill()
    started += client.starts(lambda found: ids_of(started + found) >= expected)
    assert len({start.run_id for start in started}) == len(expected)
    wait_until(lambda: client.lag() == 0, "everything is acknowledged")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
