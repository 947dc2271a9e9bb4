"""Is the cluster there? Bounded questions, and waiting that says so."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ..settings import KafkaSettings
from . import clients

SAY_SO_EVERY_SECONDS = 5.0
ERRORS_KEPT = 10


def admin_client(settings: KafkaSettings, on_error: Callable[[KafkaError], None] | None = None) -> AdminClient:
    """A client for questions about the cluster; a cluster that is away is an answer, not a log line."""
    quiet = {"log_level": 0, "error_cb": on_error or _ignore}
    return AdminClient(clients.connection(settings, "penstock-admin") | quiet)


def reachable(settings: KafkaSettings, timeout_seconds: float) -> bool:
    """True when a broker answers a metadata request in time."""
    return _answers(admin_client(settings), timeout_seconds)


async def wait_for_kafka(settings: KafkaSettings, say: Callable[[str], None]) -> None:
    """Return when the cluster answers, however long that takes; `say` is told every few seconds that we wait, and why.

    Cancellation is noticed within a second, so that a service that waits can be stopped.
    """
    errors: deque[KafkaError] = deque(maxlen=ERRORS_KEPT)
    client = admin_client(settings, errors.append)
    next_word = time.monotonic() + SAY_SO_EVERY_SECONDS
    while not await asyncio.to_thread(_answers, client, 0.5):
        if time.monotonic() >= next_word:
            say(f"waiting for Kafka at {settings.kafka_bootstrap_servers}: {_reason(errors)}")
            next_word = time.monotonic() + SAY_SO_EVERY_SECONDS
        await asyncio.sleep(0.02)


def _reason(errors: Iterable[KafkaError]) -> str:
    """The most telling of the last errors: "all brokers are down" follows every other and explains none."""
    told = [error.str() for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN]
    return told[-1] if told else "no answer yet"


def _answers(client: AdminClient, timeout_seconds: float) -> bool:
    client.poll(0)  # serves the error callback
    try:
        return bool(client.list_topics(timeout=timeout_seconds).brokers)
    except KafkaException:
        return False


def _ignore(_error: KafkaError) -> None:
    pass
