"""The matcher's table of waits at scale: cost of an event, latency, memory and restore by the number of pending waits.

python -m benchmarks.waits [--waits 10000,100000,1000000] [--report benchmarks/waits.md]

One hot event name; every wait has a value of its own, and a condition that is left to check. Only a broker and a
matcher run: waits are written to their topic as executors write them, resumes are read where executors read them.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.cli.broker.installation import install
from penstock.cli.broker.server import BrokerPlace, EmbeddedBroker
from penstock.cli.broker.training import train
from penstock.kafka import clients
from penstock.kafka.topics import create_topics
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, run_id
from penstock.messages.keys import correlation_partition, shape_key, wait_key
from penstock.messages.records import Event, ResumeRun, Wait, WaitShape
from penstock.settings import BrokerSettings, KafkaSettings

from . import machine
from .timings import percentile

CODEC = Codec()
NAME, PATH = "shop/order.paid", "data.user_id"
CONDITION = "async.data.user_id == event.data.user_id && async.data.amount > 10"
HOUR_MS = 3_600_000
LIMIT_SECONDS = 900.0
HOT_WAITS = 100_000
BURSTS = 4
LATENCY_RATE, LATENCY_SECONDS = 100, 20


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured with so many pending waits."""

    waits: int
    first_restore: float
    restore: float
    reopen: float
    events_per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    fullest_share: float


@dataclass(frozen=True, slots=True)
class Hot:
    """One event that ends very many waits, and the others meanwhile."""

    waits: int
    seconds: float
    others_p50_ms: float
    others_p99_ms: float
    rss_mb: float


class Matcher:
    """`penstock matcher` in a process of its own."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self._kafka = kafka
        self._folder = folder
        self._log = folder / "matcher.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds from the assignment of its partitions until all tables of waits are restored."""
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": self._kafka.kafka_bootstrap_servers,
            "PENSTOCK_TOPIC_PREFIX": self._kafka.topic_prefix,
            "PENSTOCK_DATA_DIR": str(self._folder),
        }
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "penstock", "matcher"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        assigned = self._said(b"ready: ", 1)
        return self._said(b"records read", self._kafka.wait_partitions) - assigned

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def forget(self) -> None:
        """Lose its files."""
        shutil.rmtree(self._folder / "waits")

    def cpu_seconds(self) -> float:
        times = self._account().cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self._account().memory_info().rss) / 1e6

    def _account(self) -> psutil.Process:
        if self._process is None:
            raise RuntimeError("the matcher is not running")
        return psutil.Process(self._process.pid)

    def _said(self, text: bytes, times: int) -> float:
        """When it has said this so many times."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while self._log.read_bytes().count(text) < times:
            if time.monotonic() > deadline or self._account().status() == psutil.STATUS_ZOMBIE:
                raise SystemExit(f"the matcher does not come up:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.01)
        return time.monotonic()


class Resumes:
    """Reads what runs are told, and notes when: by event id the times of its resumes."""

    def __init__(self, kafka: KafkaSettings) -> None:
        config = clients.consumer(kafka, "benchmark", "benchmark") | {"fetch.wait.max.ms": 10}
        self._consumer = Consumer(config | {"isolation.level": "read_uncommitted"})
        topic = kafka.topics().run_steps
        self._consumer.assign([TopicPartition(topic, n, 0) for n in range(kafka.run_partitions)])
        self.seen: dict[str, tuple[int, float]] = {}
        """Event id → number of resumes, time of the last."""
        self._open = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, ids: Iterable[str], each: int = 1) -> float:
        """When the last of these events had resumed so many runs."""
        deadline = time.monotonic() + LIMIT_SECONDS
        wanted = list(ids)
        while any(self.seen.get(one, (0, 0.0))[0] < each for one in wanted):
            if time.monotonic() > deadline:
                raise SystemExit("not all events have resumed their runs")
            time.sleep(0.01)
        return max(self.seen[one][1] for one in wanted)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while self._open:
            first = self._consumer.poll(0.2)
            for message in [] if first is None else [first, *self._consumer.consume(1000, 0)]:
                at = time.monotonic()
                command = CODEC.decode(message.value() or b"")
                if isinstance(command, ResumeRun):
                    count = self.seen.get(command.event_id, (0, 0.0))[0]
                    self.seen[command.event_id] = (count + 1, at)


class Bench:
    """One installation of topics with its matcher."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        create_topics(kafka)
        self._kafka = kafka
        self._topics = kafka.topics()
        self._producer = Producer(clients.producer(kafka, "benchmark") | {"linger.ms": 5})
        self._sent = 0
        self.matcher = Matcher(kafka, folder)
        self.resumes = Resumes(kafka)

    def register(self, waits: Iterable[Wait]) -> float:
        """Write waits and their shape; the share of the fullest partition."""
        now = millis()
        shape = WaitShape(NAME, PATH, now, now + HOUR_MS, now)
        self._produce(self._topics.wait_shapes, shape_key(NAME, PATH), CODEC.encode(shape), 0)
        counts = [0] * self._kafka.wait_partitions
        for wait in waits:
            key = wait_key(wait)
            partition = correlation_partition(key, self._kafka.wait_partitions)
            counts[partition] += 1
            self._produce(self._topics.waits, key.encode(), CODEC.encode(wait), partition)
        self._producer.flush()
        return max(counts) / sum(counts)

    def send(self, user: str) -> str:
        """Send one event; the id that its resumes carry."""
        self._sent += 1
        now = millis()
        data = f'{{"user_id": "{user}", "amount": 42}}'
        internal_id = f"01{self._sent:024d}"
        event = Event(NAME, data, f"e{self._sent}", now, internal_id=internal_id, received_at=now, source="http")
        self._produce(self._topics.events, event.id.encode(), CODEC.encode(event), -1)
        return internal_id

    def flush(self) -> None:
        self._producer.flush()

    def close(self) -> None:
        self.matcher.stop()
        self.resumes.close()

    def _produce(self, topic: str, key: bytes, value: bytes, partition: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)


def measure(kafka: KafkaSettings, folder: Path, waits: int, events: int) -> Row:
    """Everything about one number of waits."""
    bench = Bench(kafka, folder)
    try:
        share = bench.register(wait_for(f"u{n}", n) for n in range(waits))
        first = bench.matcher.start()
        users = random.Random(waits)
        bursts = [burst(bench, users, waits, events) for _ in range(BURSTS)]
        rate, cpu = max(rate for rate, _ in bursts), min(cpu for _, cpu in bursts)
        latencies = sorted(paced(bench, users, waits, LATENCY_RATE, LATENCY_SECONDS))
        rss = bench.matcher.rss_mb()
        bench.matcher.stop()
        bench.matcher.forget()
        restore = bench.matcher.start()
        rss = max(rss, bench.matcher.rss_mb())
        bench.matcher.stop()
        reopen = bench.matcher.start()
        p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
        return Row(waits, waits / first, waits / restore, reopen, rate, cpu, p50, p99, rss, share)
    finally:
        bench.close()


def measure_hot(kafka: KafkaSettings, folder: Path, waits: int) -> Hot:
    """One event for all of these waits, with other events before, meanwhile and after."""
    bench = Bench(kafka, folder)
    try:
        bench.register(wait_for("hot" if n < waits else f"u{n}", n) for n in range(waits + 1000))
        bench.matcher.start()
        paced_ids(bench, iter(f"u{waits + n}" for n in range(100)), 100)
        start = time.monotonic()
        hot = bench.send("hot")
        sent = paced_ids(bench, iter(f"u{waits + n % 1000}" for n in range(500)), 100)
        end = bench.resumes.wait_for([hot], waits)
        bench.resumes.wait_for(sent)
        others = sorted((bench.resumes.seen[one][1] - at) * 1e3 for one, at in sent.items())
        return Hot(waits, end - start, percentile(others, 50), percentile(others, 99), bench.matcher.rss_mb())
    finally:
        bench.close()


def burst(bench: Bench, users: random.Random, waits: int, events: int) -> tuple[float, float]:
    """Send events as fast as they go: events/s until the last resume, CPU ms of the matcher for each."""
    cpu, start = bench.matcher.cpu_seconds(), time.monotonic()
    ids = [bench.send(f"u{users.randrange(waits)}") for _ in range(events)]
    bench.flush()
    end = bench.resumes.wait_for(ids)
    return events / (end - start), (bench.matcher.cpu_seconds() - cpu) / events * 1e3


def paced(bench: Bench, users: random.Random, waits: int, rate: int, seconds: int) -> list[float]:
    """Milliseconds from sending an event to its resume, at an even rate."""
    sent = paced_ids(bench, iter(f"u{users.randrange(waits)}" for _ in range(rate * seconds)), rate)
    bench.resumes.wait_for(sent)
    return [(bench.resumes.seen[one][1] - at) * 1e3 for one, at in sent.items()]


def paced_ids(bench: Bench, users: Iterator[str], rate: int) -> dict[str, float]:
    """Send an event for each user at an even rate: when each was due, by id."""
    start, sent = time.monotonic(), {}
    for place, user in enumerate(users):
        due = start + place / rate
        time.sleep(max(due - time.monotonic(), 0.0))
        sent[bench.send(user)] = due
    bench.flush()
    return sent


def wait_for(user: str, number: int) -> Wait:
    now = millis()
    run = run_id(FunctionKey("shop/fulfil"), str(number), now)
    bound = f'{{"data":{{"user_id":"{user}"}}}}'
    return Wait(run, JobId("wait/paid"), NAME, PATH, f'"{user}"', CONDITION, bound, now - 1000, now + HOUR_MS, now, ())


def millis() -> int:
    return time.time_ns() // 1_000_000


def markdown(rows: list[Row], hot: Hot | None, command: str) -> str:
    """The report."""
    facts = machine.describe("penstock matcher and a broker")
    lines = ["# Waits at scale", "", "```", command, "```", "", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += [
        "",
        "| pending waits | events/s | CPU ms an event | against the fewest | p50 ms | p99 ms | RSS MB |"
        " restore waits/s | never settled, waits/s | files kept, s | fullest partition |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.waits:,} | {row.events_per_second:,.0f} | {row.cpu_ms:.3f} | {row.cpu_ms / rows[0].cpu_ms:.2f} |"
        f" {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.rss_mb:.0f} | {row.restore:,.0f} | {row.first_restore:,.0f} |"
        f" {row.reopen:.2f} | {row.fullest_share:.1%} |"
        for row in rows
    ]
    if hot is not None:
        lines += [
            "",
            f"One event that ends {hot.waits:,} waits: {hot.seconds:.1f} s until the last resume; other events at "
            f"100/s meanwhile: p50 {hot.others_p50_ms:.1f} ms, p99 {hot.others_p99_ms:.1f} ms; "
            f"RSS {hot.rss_mb:.0f} MB.",
        ]
    lines += ["", EXPLANATION, ""]
    return "\n".join(lines)


EXPLANATION = f"""\
An event's cost is the CPU of the matcher process for both its stages, at full speed, in the best of {BURSTS} bursts.
Latencies are from the time an event was due on `events` to its resume on `run-steps`, at {LATENCY_RATE}/s. *Restore*:
files lost, group offsets kept. *Never settled*: a new group, so that every wait is also checked. *Files kept*: seconds
to be ready again."""


@contextmanager
def broker() -> Iterator[str]:
    """The cluster that PENSTOCK_KAFKA_BOOTSTRAP_SERVERS names, or an embedded one that is gone afterwards."""
    if given := os.environ.get("PENSTOCK_KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installation = install(BrokerSettings().cache_dir, lambda _done, _total: None, print, train)
        with (folder / "broker.log").open("wb") as log:
            embedded = EmbeddedBroker(installation, BrokerPlace.at(folder), log)
            try:
                embedded.wait_ready()
                yield embedded.bootstrap_servers
            finally:
                embedded.stop()


def main() -> None:
    """Measure, print the report, and write it where `--report` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--waits", default="10000,100000,1000000")
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--hot", type=int, default=HOT_WAITS)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    with broker() as servers, tempfile.TemporaryDirectory() as name:
        for count in map(int, options.waits.split(",")):
            kafka = KafkaSettings(kafka_bootstrap_servers=servers, topic_prefix=f"waits-{count}.")
            rows.append(measure(kafka, Path(name) / str(count), count, options.events))
            print(rows[-1], flush=True)
        kafka = KafkaSettings(kafka_bootstrap_servers=servers, topic_prefix="waits-hot.")
        hot = measure_hot(kafka, Path(name) / "hot", options.hot) if options.hot else None
    report = markdown(rows, hot, shlex.join(["python", "-m", "benchmarks.waits", *sys.argv[1:]]))
    print(report)
    if options.report is not None:
        options.report.write_text(report, "utf-8")


if __name__ == "__main__":
    main()
