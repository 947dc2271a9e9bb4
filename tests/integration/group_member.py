"""A member of the executors' group that does nothing but be one."""

from __future__ import annotations

import threading

from confluent_kafka import Consumer

from penstock.kafka import clients
from penstock.settings import KafkaSettings


class Member:
    """A member of the executors' group that owns all partitions."""

    def __init__(self, kafka: KafkaSettings, client_id: str) -> None:
        self._open = True
        group = f"{kafka.topic_prefix}executor"
        self._consumer = Consumer(clients.consumer(kafka, client_id, group))
        self._consumer.subscribe([kafka.topics().run_steps])
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while self._open:
            self._consumer.poll(0.1)
        self._consumer.close()

    def close(self) -> None:
        self._open = False
        self._thread.join()
