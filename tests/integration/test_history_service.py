"""The history service on a real broker: killed, doubled, cut off from its database, it misses and doubles nothing."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from sqlalchemy import Engine, func, select

from penstock.cli.leash import Leashed
from penstock.history.database import prepare, writer_engine
from penstock.history.tables import events, jobs, metadata, offsets, run_events, runs, steps
from penstock.kafka import clients
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId, run_id, run_partition
from penstock.messages.records import Event, JobScheduled, OffsetApplied, Record, RunEnded, RunStarted, StepFinished
from penstock.settings import HistorySettings, KafkaSettings
from tests.stack import wait_until

from .postgres import running_postgres

NOW = 1_700_000_000_000
CODEC = Codec()
FUNCTION = FunctionKey("shop/paid")


class Topics:
    """Writes what ingest and executors would, a transaction per batch of runs."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topics = settings.topics()
        config = clients.transactional_producer(settings, "test", f"{settings.topic_prefix}test")
        self._producer = Producer(config)
        self._producer.init_transactions(30)
        self.runs = 0
        self.events = 0

    def add_runs(self, count: int, commit: bool = True) -> None:
        """Events and whole runs of one step, in transactions of 50."""
        for first in range(0, count, 50):
            self._producer.begin_transaction()
            for number in range(first, min(first + 50, count)):
                self._add_run(f"{commit}-{self.runs + number}")
            self._producer.flush(30)
            if commit:
                self._producer.commit_transaction(30)
            else:
                self._producer.abort_transaction(30)
        if commit:
            self.runs += count
            self.events += count

    def add_event(self, value: bytes, key: bytes | None = None) -> None:
        """One record as any Kafka client may write it."""
        self._producer.begin_transaction()
        self._producer.produce(self._topics.events, value, key)
        self._producer.commit_transaction(30)

    def _add_run(self, name: str) -> None:
        run = run_id(FUNCTION, name, NOW)
        self._producer.produce(self._topics.events, CODEC.encode(Event(FUNCTION, id=name)), name.encode())
        for key, record in whole_run(run):
            value = None if record is None else CODEC.encode(record)
            partition = run_partition(run, self._settings.run_partitions)
            self._producer.produce(self._topics.run_state, value, key, partition)


def whole_run(run: RunId) -> list[tuple[bytes, Record | None]]:
    job = JobId("discover/start")
    step = StepFinished(run, StepId("ab"), 0, "StepRun", "charge", '{"data":1}', NOW, NOW)
    return [
        (keys.run_key(run), RunStarted(run, FUNCTION, 1, ("{}",), (run,), 5, NOW, NOW)),
        (keys.job_key(run, job), JobScheduled(run, job, "call", DISCOVERY, NOW, NOW)),
        (keys.OFFSET, OffsetApplied(1)),
        (keys.step_key(run, step.step_id), step),
        (keys.job_key(run, job), None),
        (keys.end_key(run), RunEnded(run, "Completed", '"done"', NOW, NOW)),
    ]


class HistoryProcesses:
    """`penstock history` as processes, over one database."""

    def __init__(self, kafka: KafkaSettings, settings: HistorySettings, folder: Path) -> None:
        self._log = folder / "history.log"
        self._environment = {
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
            "PENSTOCK_TOPIC_PREFIX": kafka.topic_prefix,
            "PENSTOCK_HISTORY_DATABASE_URL": settings.database_url(),
            "PENSTOCK_HISTORY_BATCH_RECORDS": str(settings.history_batch_records),
            # These runs ended years ago.
            "PENSTOCK_RETENTION_HISTORY_RUNS_SECONDS": "0",
            "PENSTOCK_RETENTION_HISTORY_EVENTS_SECONDS": "0",
        }
        self.engine: Engine = writer_engine(settings.database_url())
        prepare(self.engine)
        self._started: list[Leashed] = []

    def start(self) -> Leashed:
        """One more process, ready."""
        before = self.log().count("ready: ")
        with self._log.open("ab") as log:
            process = Leashed([sys.executable, "-P", "-m", "penstock", "history"], log, self._environment)
        self._started.append(process)
        wait_until(lambda: self.log().count("ready: ") > before, 60, self.log)
        return process

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def count(self, column: object) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(column)).scalar_one()  # type: ignore[call-overload,no-any-return]

    def ended_runs(self) -> int:
        """Runs whose end is there; each has its output, for both come together."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(runs.c.status, runs.c.output)).all()
        assert {(row.status, row.output) for row in rows} <= {("Running", None), ("Completed", '"done"')}
        return sum(row.status == "Completed" for row in rows)

    def wait_for(self, topics: Topics, seconds: float = 60) -> None:
        """Return when everything is there; then it is there exactly once."""
        wait_until(
            lambda: self.ended_runs() >= topics.runs and self.count(events) >= topics.events,
            seconds,
            lambda: f"{self.ended_runs()} runs, {self.count(events)} events\n{self.log()[-4000:]}",
        )
        assert self.count(runs) == self.ended_runs() == topics.runs
        assert self.count(events) == topics.events
        assert self.count(steps) == self.count(run_events) == topics.runs
        assert self.count(jobs) == 0

    def close(self) -> None:
        for process in self._started:
            process.stop(15)
        self.engine.dispose()


@pytest.fixture
def topics(kafka_settings: KafkaSettings) -> Topics:
    return Topics(kafka_settings)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def history(
    request: pytest.FixtureRequest, kafka_settings: KafkaSettings, tmp_path: Path
) -> Iterator[HistoryProcesses]:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        engine = writer_engine(url)
        metadata.drop_all(engine)
        engine.dispose()
    settings = HistorySettings(data_dir=tmp_path, history_database_url=url, history_batch_records=500)
    processes = HistoryProcesses(kafka_settings, settings, tmp_path)
    try:
        yield processes
    finally:
        processes.close()


only_sqlite = pytest.mark.parametrize("history", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("history", ["postgresql"], indirect=True)


def test_what_happened_is_read(history: HistoryProcesses, topics: Topics) -> None:
    """Events and whole runs, from before the start and after it; what was aborted never happened."""
    topics.add_runs(120)
    topics.add_runs(30, commit=False)
    history.start()
    history.wait_for(topics)
    topics.add_event(b"\xff no event")
    topics.add_event(b'{"name":"plain/json","data":{"n":1}}')
    topics.add_event(b'{"name":"large","data":{"x":"' + b"y" * (3 * 1024 * 1024 - 100) + b'"}}')
    topics.events += 2
    topics.add_runs(10)
    history.wait_for(topics)


def test_killed_again_and_again_it_misses_nothing(history: HistoryProcesses, topics: Topics) -> None:
    """kill -9 while it catches up: the next process goes on from the offsets that came with the rows."""
    topics.add_runs(3000)
    for part in range(1, 4):
        process = history.start()
        wait_until(lambda part=part: history.ended_runs() >= part * 500, 60, history.log)  # type: ignore[misc]
        process.kill()
    topics.add_runs(100)
    history.start()
    history.wait_for(topics)


def test_two_processes_do_no_harm(history: HistoryProcesses, topics: Topics) -> None:
    """A second process on the same database: each record counts once, and when one dies the other has it all."""
    first = history.start()
    history.start()
    topics.add_runs(1000)
    history.wait_for(topics)
    first.kill()
    topics.add_runs(500)
    history.wait_for(topics)


@only_postgresql
def test_processes_share_the_partitions(history: HistoryProcesses, topics: Topics) -> None:
    """On a database for several processes the group divides the work: nobody is overtaken all the time."""
    history.start()
    history.start()
    topics.add_runs(2000)
    history.wait_for(topics)
    assert history.log().count("another process has read") < 20


@only_sqlite
def test_a_locked_database_is_waited_for(history: HistoryProcesses, topics: Topics, tmp_path: Path) -> None:
    """Someone else holds the write lock for longer than the driver waits: nothing is missing afterwards."""
    history.start()
    topics.add_runs(50)
    history.wait_for(topics)
    other = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    topics.add_runs(50)
    wait_until(lambda: "does not take the batch" in history.log(), 30, history.log)
    other.execute("ROLLBACK")
    other.close()
    history.wait_for(topics)


def test_a_lost_database_is_filled_again(history: HistoryProcesses, topics: Topics) -> None:
    """The topics are the truth: dropped tables come back with all that the topics retain."""
    process = history.start()
    topics.add_runs(200)
    history.wait_for(topics)
    process.stop(15)
    metadata.drop_all(history.engine)
    prepare(history.engine)
    history.start()
    history.wait_for(topics)


def test_offsets_stand_behind_the_last_record(
    history: HistoryProcesses, topics: Topics, kafka_settings: KafkaSettings
) -> None:
    """Each partition's position is what a restart goes on from; a clean stop loses none of it."""
    process = history.start()
    topics.add_runs(300)
    history.wait_for(topics)
    process.stop(15)
    with history.engine.connect() as connection:
        places = {(row.topic, row.partition) for row in connection.execute(select(offsets))}
    expected = {(kafka_settings.topics().run_state, p) for p in range(kafka_settings.run_partitions)}
    assert expected <= places
    history.start()
    history.wait_for(topics)
