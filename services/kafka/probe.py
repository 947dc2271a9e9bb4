"""Is the cluster there? Bounded questions, and waiting that says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ..settings import KafkaSettings
from . import clients

SAY_SO_EVERY_SECONDS = 5.0


def admin_client(settings: KafkaSettings) -> AdminClient:
    """A client for questions about the cluster; a cluster that is away is an answer, not a log line."""
    return AdminClient(clients.connection(settings, "penstock-admin") | {"log_level": 0, "error_cb": _ignore})


def reachable(settings: KafkaSettings, timeout_seconds: float) -> bool:
    """True when a broker answers a metadata request in time."""
    return _answers(admin_client(settings), timeout_seconds)


async def wait_for_kafka(settings: KafkaSettings, say: Callable[[str], None]) -> None:
    """Return when the cluster answers, however long that takes; `say` is told every few seconds that we wait.

    Cancellation is noticed within a second, so that a service that waits can be stopped.
    """
    client = admin_client(settings)
    next_word = time.monotonic() + SAY_SO_EVERY_SECONDS
    while not await asyncio.to_thread(_answers, client, 0.5):
        if time.monotonic() >= next_word:
            say(f"waiting for Kafka at {settings.kafka_bootstrap_servers}: no answer yet")
            next_word = time.monotonic() + SAY_SO_EVERY_SECONDS
        await asyncio.sleep(0.02)


def _answers(client: AdminClient, timeout_seconds: float) -> bool:
    try:
        return bool(client.list_topics(timeout=timeout_seconds).brokers)
    except KafkaException:
        return False


def _ignore(_error: object) -> None:
    pass
