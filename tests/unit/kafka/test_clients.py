"""Every Kafka client is let in by the same settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import penstock
from penstock.kafka import clients
from penstock.kafka.clients import Config
from penstock.settings import KafkaSettings

SETTINGS = KafkaSettings(
    kafka_bootstrap_servers="a:1,b:2",
    kafka_security_protocol="SASL_SSL",
    kafka_sasl_mechanism="SCRAM-SHA-256",
    kafka_sasl_username="me",
    kafka_sasl_password="secret",
    kafka_ssl_ca_location="ca.pem",
    kafka_ssl_certificate_location="cert.pem",
    kafka_ssl_key_location="key.pem",
    kafka_ssl_key_password="of the key",
)
ACCESS = {
    "bootstrap.servers": "a:1,b:2",
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-256",
    "sasl.username": "me",
    "sasl.password": "secret",
    "ssl.ca.location": "ca.pem",
    "ssl.certificate.location": "cert.pem",
    "ssl.key.location": "key.pem",
    "ssl.key.password": "of the key",
}


@pytest.mark.parametrize(
    "made",
    [
        clients.connection(SETTINGS, "c"),
        clients.producer(SETTINGS, "c"),
        clients.transactional_producer(SETTINGS, "c", "t"),
        clients.consumer(SETTINGS, "c", "g"),
    ],
    ids=["admin", "producer", "transactional producer", "consumer"],
)
def test_tls_and_credentials_reach_every_kind_of_client(made: Config) -> None:
    """Host names of certificates are checked, which is librdkafka's default and not switched off."""
    assert ACCESS.items() <= made.items()
    assert not {"ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification"} & made.keys()


def test_what_is_not_set_is_not_said() -> None:
    """A plain cluster gets no empty credentials."""
    assert not [name for name in clients.connection(KafkaSettings(), "c") if name.startswith(("sasl.", "ssl."))]


def test_nobody_names_a_cluster_otherwise() -> None:
    """librdkafka's and aiokafka's words for where a cluster is stand in one place each."""
    root = Path(penstock.__file__).parent
    naming = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"""["']bootstrap[._]servers["']\s*:""", file.read_text("utf-8"))
    }
    assert naming == {"kafka/clients.py", "matcher/faust_kafka.py"}
