"""Is Kafka there? Asked when somebody asks, at most once a second."""

from __future__ import annotations

import asyncio
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ..kafka.probe import admin_client
from ..settings import KafkaSettings
from .publish import Publisher

TIMEOUT_SECONDS = 1.0
BELIEVED_SECONDS = 1.0


class Health:
    """Tells why nothing can be taken in, or None when all is well."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher) -> None:
        self._settings = settings
        self._publisher = publisher
        self._client: AdminClient | None = None
        self._asked_at = float("-inf")
        self._complaint: str | None = None
        self._one_at_a_time = asyncio.Lock()

    async def complaint(self) -> str | None:
        if self._publisher.waiting_for is not None:
            return f"waiting for {self._publisher.waiting_for}"
        async with self._one_at_a_time:
            if time.monotonic() - self._asked_at > BELIEVED_SECONDS:
                self._complaint = await asyncio.to_thread(self._ask)
                self._asked_at = time.monotonic()
        return self._complaint

    def _ask(self) -> str | None:
        self._client = self._client or admin_client(self._settings)
        try:
            self._client.list_topics(self._settings.topics().events, timeout=TIMEOUT_SECONDS)
        except KafkaException as error:
            return f"Kafka at {self._settings.kafka_bootstrap_servers} does not answer: {error.args[0].str()}"
        return None
