"""Faust let into our Kafka: one consumer of committed records, and nothing else.

Faust's own way of making its consumer reads uncommitted records, cannot be told how long a fetch may wait, and takes
credentials in another form. So its consumer thread is given a consumer made here, from `KafkaSettings`. Faust's
producer is not started at all: what the matcher sends goes through librdkafka.
"""

from __future__ import annotations

import ssl
from typing import Any

import aiokafka
import faust
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.helpers import create_ssl_context
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as driver

from ..kafka.clients import MAX_MESSAGE_BYTES
from ..settings import KafkaSettings

FETCH_WAIT_MS = 500
#: What one fetch may bring: all of it is in memory until it is matched.
FETCH_BYTES = 16 * 1024 * 1024


class ConsumerOnly(BootStrategy):
    """Starts Faust without its producer and its web server."""

    enable_kafka_producer = False
    enable_web = False


def transport(app: faust.App, settings: KafkaSettings) -> driver.Transport:
    """Faust's Kafka transport with our consumer in it."""

    class ConsumerThread(driver.AIOKafkaConsumerThread):
        def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
            self._assignor = RoundRobinPartitionAssignor
            return aiokafka.AIOKafkaConsumer(**consumer_options(settings, app.conf.id))

    class OurConsumer(driver.Consumer):
        def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
            return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    class Transport(driver.Transport):
        Consumer = OurConsumer

    return Transport(app.conf.broker, app, loop=app.loop)


def consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """Our settings in aiokafka's words."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": "penstock-matcher",
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "partition_assignment_strategy": [RoundRobinPartitionAssignor],
        "session_timeout_ms": settings.kafka_session_timeout_ms,
        "rebalance_timeout_ms": 30_000,
        "heartbeat_interval_ms": max(settings.kafka_session_timeout_ms // 4, 500),
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "fetch_max_bytes": FETCH_BYTES,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
        "retry_backoff_ms": 50,
    } | _access(settings)


def _access(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism or "PLAIN",
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": settings.kafka_sasl_password,
        "ssl_context": _tls(settings) if "SSL" in settings.kafka_security_protocol.split("_") else None,
    }


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    context: ssl.SSLContext = create_ssl_context(
        cafile=settings.kafka_ssl_ca_location,
        certfile=settings.kafka_ssl_certificate_location,
        keyfile=settings.kafka_ssl_key_location,
    )
    return context
