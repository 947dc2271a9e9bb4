"""Kafka's absence is told once in a while."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from penstock.kafka.complaints import EVERY_SECONDS, Complaints, OnceInAWhile


@dataclass
class Failed:
    kind: str = "_TRANSPORT"

    def name(self) -> str:
        return self.kind

    def str(self) -> str:
        return "connection refused"


def test_the_first_of_a_kind_is_told_at_once_and_then_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred failed attempts are two lines; another kind has its own."""
    now = [100.0]
    complaints = Complaints(lambda: now[0])
    for _ in range(100):
        complaints.take(Failed())
    complaints.take(Failed("_AUTHENTICATION"))
    now[0] += EVERY_SECONDS
    complaints.take(Failed())
    assert [record.getMessage() for record in caplog.records] == [
        "Kafka: connection refused; trying on",
        "Kafka: connection refused; trying on",
        "Kafka: connection refused (and 99 more since the last time); trying on",
    ]


def test_what_aiokafka_repeats_is_told_once_in_a_while() -> None:
    """Whatever node it is about; what others log is left alone."""
    now = [100.0]
    once = OnceInAWhile(Complaints(lambda: now[0]))

    def told(name: str, node: int) -> str:
        record = logging.LogRecord(name, logging.ERROR, "", 0, "Unable connect to node %s", (node,), None)
        return record.getMessage() if once.filter(record) else ""

    assert told("aiokafka", 1) == "Unable connect to node 1"
    assert told("aiokafka", 2) == ""
    assert told("penstock.matcher", 1) == told("penstock.matcher", 1) == "Unable connect to node 1"
    now[0] += EVERY_SECONDS
    assert told("aiokafka", 3) == "Unable connect to node 3 (and 1 more since the last time)"
