"""A broker's first run, done so that the JVM can write its start-up cache.

The JVM records which classes were loaded and how they were linked, and writes that down when it ends. So the run must
do what brokers do: topics, records, transactions, a consumer group.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from confluent_kafka import Consumer, Producer

from ...errors import Unavailable
from ...kafka import clients
from ...kafka.topics import create_topics
from ...settings import KafkaSettings
from .installation import Installation
from .server import BrokerPlace, EmbeddedBroker

WRITE_SECONDS = 120.0
RECORDS = 50


def train(installation: Installation) -> None:
    """Write `installation.startup_cache`. Raises `Unavailable` when the broker does not run."""
    home = installation.startup_cache.parent
    with tempfile.TemporaryDirectory(dir=home) as work:
        written = Path(work, "startup.aot")
        output = Path(work, "output.log")
        with output.open("wb") as log:
            options = [f"-XX:AOTCacheOutput={written}"]
            broker = EmbeddedBroker(installation, BrokerPlace.at(Path(work, "kafka")), log, options)
            try:
                broker.wait_ready()
                _exercise(KafkaSettings(kafka_bootstrap_servers=broker.bootstrap_servers))
            except Unavailable as error:
                raise Unavailable(f"{error}: {_complaints(output)}") from error
            finally:
                broker.stop(WRITE_SECONDS)
        if not written.is_file():
            raise Unavailable(f"the JVM wrote no start-up cache: {_complaints(output)}")
        written.rename(installation.startup_cache)


def _exercise(settings: KafkaSettings) -> None:
    create_topics(settings)
    topic = settings.topics().events
    plain = Producer(clients.producer(settings, "training"))
    transactional = Producer(clients.transactional_producer(settings, "training", "training"))
    transactional.init_transactions(30)
    transactional.begin_transaction()
    for number in range(RECORDS):
        plain.produce(topic, key=str(number), value=b"plain")
        transactional.produce(topic, key=str(number), value=b"transactional")
    plain.flush(30)
    transactional.commit_transaction(30)
    _consume(settings, topic)


def _consume(settings: KafkaSettings, topic: str) -> None:
    consumer = Consumer(clients.consumer(settings, "training", "training"))
    try:
        consumer.subscribe([topic])
        messages = [m for m in consumer.consume(RECORDS, 15) if m.error() is None]
        if messages:
            consumer.commit(message=messages[-1], asynchronous=False)
    finally:
        consumer.close()


def _complaints(log: Path) -> str:
    """What the broker says is wrong, without what the JVM says about its cache."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return " / ".join(line[:300] for line in lines if "ERROR" in line or "Exception" in line) or "no error in its log"
