"""What the rings that need Kafka share: one real broker per test session, and a topic prefix of its own per test.

The broker is, in this order: the cluster that PENSTOCK_KAFKA_BOOTSTRAP_SERVERS names; with
PENSTOCK_TEST_CONTAINERS=1, a container of the Docker engine; the embedded broker, thrown away in the end.
A broker that does not come up fails the tests.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from penstock.cli.broker.installation import Installation, install
from penstock.cli.broker.server import BrokerPlace, EmbeddedBroker
from penstock.cli.broker.training import train
from penstock.kafka.topics import create_topics
from penstock.settings import BrokerSettings, KafkaSettings
from tests.audited import assert_rules_hold, excused
from tests.stack import Stack

StartStack = Callable[..., Stack]

# How long an example takes says more about the machine than about the code.
settings.register_profile("penstock", deadline=None)
# For nights: `HYPOTHESIS_PROFILE=long pytest tests/property`.
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "penstock"))


@pytest.fixture(scope="session")
def installation() -> Installation:
    """The embedded broker's jars and start-up cache, made the first time."""
    return install(BrokerSettings().cache_dir, lambda _done, _total: None, print, train)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """Bootstrap servers of a real Kafka."""
    if given := os.environ.get("PENSTOCK_KAFKA_BOOTSTRAP_SERVERS"):
        yield given
    elif os.environ.get("PENSTOCK_TEST_CONTAINERS") == "1":
        with _container() as bootstrap_servers:
            yield bootstrap_servers
    else:
        with _embedded(request.getfixturevalue("installation"), tmp_path_factory.mktemp("kafka")) as servers:
            yield servers


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.kafka import KafkaContainer

    with KafkaContainer() as kafka:
        yield kafka.get_bootstrap_server()


@contextmanager
def _embedded(installation: Installation, folder: Path) -> Iterator[str]:
    with (folder / "broker.log").open("wb") as log:
        broker = EmbeddedBroker(installation, BrokerPlace.at(folder), log)
        try:
            broker.wait_ready()
            yield broker.bootstrap_servers
        finally:
            broker.stop()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, so that tests share a broker without seeing one another."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def kafka_settings(broker: str, topic_prefix: str) -> KafkaSettings:
    """Settings for the test's own topics, which exist."""
    settings = KafkaSettings(kafka_bootstrap_servers=broker, topic_prefix=topic_prefix)
    create_topics(settings)
    return settings


@pytest.fixture
def stack(broker: str, topic_prefix: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartStack]:
    """Start all services as real processes: `stack(retry_interval=1, app_urls=[…])`; see `tests.stack.Stack`.

    In the end they are stopped and audited: a test whose topics break a rule fails, unless it says that they do
    (`@pytest.mark.breaks_rules("one start", reason="…")`).
    """
    started: list[Stack] = []
    revive: list[Installation] = []

    def start(**options: object) -> Stack:
        folder = tmp_path / f"stack-{len(started)}"
        one = Stack(folder, **{"bootstrap_servers": broker, "topic_prefix": topic_prefix, **options})  # type: ignore[arg-type]
        started.append(one)
        if one.has_own_broker:
            revive.append(request.getfixturevalue("installation"))
        one.wait_ready()
        return one

    try:
        yield start
    finally:
        for one in reversed(started):
            one.stop()
    assert_rules_hold(started, excused(request), *revive[:1])
