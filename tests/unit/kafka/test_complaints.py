"""Kafka's absence is told once in a while."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from penstock.kafka.complaints import EVERY_SECONDS, Complaints


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
