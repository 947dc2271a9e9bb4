"""Our settings, in librdkafka's words: the one place that knows its option names."""

from __future__ import annotations

from typing import Any

from ..settings import KafkaSettings
from .complaints import COMPLAINTS

Config = dict[str, Any]
HEARTBEAT_MS = 300
TRANSACTION_MS = 10_000
MAX_MESSAGE_BYTES = 10 * 1024 * 1024


def connection(settings: KafkaSettings, client_id: str) -> Config:
    """Where the cluster is and how to be let in."""
    config: Config = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": client_id,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "socket.timeout.ms": settings.kafka_request_timeout_ms,
        "socket.connection.setup.timeout.ms": settings.kafka_request_timeout_ms // 2,
        "api.version.request.timeout.ms": settings.kafka_request_timeout_ms // 2,
        "topic.metadata.refresh.interval.ms": 60_000,
        # Broken connections come by `error_cb`; its own log would tell every attempt.
        "log_level": 2,
        "error_cb": COMPLAINTS.take,
    }
    optional = {
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": settings.kafka_sasl_password,
        "ssl.ca.location": settings.kafka_ssl_ca_location,
        "ssl.certificate.location": settings.kafka_ssl_certificate_location,
        "ssl.key.location": settings.kafka_ssl_key_location,
        "ssl.key.password": settings.kafka_ssl_key_password,
    }
    return config | {name: value for name, value in optional.items() if value is not None}


def producer(settings: KafkaSettings, client_id: str) -> Config:
    """A producer whose acknowledged record is on every in-sync replica, in order, once."""
    return connection(settings, client_id) | {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 0,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.messages": 200_000,
        "compression.type": "lz4",
        "retry.backoff.ms": 20,
    }


def transactional_producer(settings: KafkaSettings, client_id: str, transactional_id: str) -> Config:
    """A producer that fences every earlier one with the same transactional id.

    A small `retry.backoff.ms` matters: back-to-back transactions meet CONCURRENT_TRANSACTIONS and would wait it out.
    """
    return producer(settings, client_id) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_MS,
        # librdkafka wants an answer before the transaction is over.
        "socket.timeout.ms": min(settings.kafka_request_timeout_ms, TRANSACTION_MS - 100),
        "retry.backoff.ms": 1,
        "retry.backoff.max.ms": 10,
    }


def consumer(settings: KafkaSettings, client_id: str, group: str) -> Config:
    """A consumer of committed records that never commits by itself."""
    return connection(settings, client_id) | {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": settings.kafka_session_timeout_ms,
        # By its heartbeat a member learns that another one has left: until then the partitions have no owner.
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "fetch.wait.max.ms": 500,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "queued.max.messages.kbytes": 32 * 1024,
        "queued.min.messages": 5000,
        "fetch.queue.backoff.ms": 10,
        "fetch.error.backoff.ms": 50,
    }
