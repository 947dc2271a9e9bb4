"""Topics, lag and owners, from what Kafka's administration tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.dashboard.streams import Streams, StreamsReader, Topic, group, rate
from penstock.settings import KafkaSettings


def member(client: str, *places: tuple[str, int]) -> Any:
    assigned = [SimpleNamespace(topic=topic, partition=partition) for topic, partition in places]
    return SimpleNamespace(client_id=client, host="/127.0.0.1", assignment=SimpleNamespace(topic_partitions=assigned))


def described(*members: Any) -> Any:
    return SimpleNamespace(state=SimpleNamespace(name="STABLE"), members=list(members))


def test_lag_is_what_lies_behind_the_commit() -> None:
    """Each partition with its owner; an executor is named by its address."""
    ends = {("t", 0): 10, ("t", 1): 5, ("other", 0): 3}
    made = group("g", described(member("penstock-executor|127.0.0.1:9", ("t", 0))), {("t", 0): 7, ("t", 1): 5}, ends)
    assert (made.state, made.lag) == ("Stable", 3)
    assert [(r.partition, r.lag, r.owner) for r in made.readings] == [(0, 3, "127.0.0.1:9"), (1, 0, "")]


def test_before_the_first_commit_the_lag_is_unknown() -> None:
    """Which is not the same as none; a commit beyond the end is no negative lag."""
    ends = {("t", 0): 10, ("t", 1): 5}
    made = group("g", described(member("m", ("t", 0))), {("t", 1): 9}, ends)
    assert [(r.committed, r.lag) for r in made.readings] == [(None, None), (9, 0)]


def test_the_rate_needs_two_looks() -> None:
    """A topic that was made anew does not run backwards."""
    before = Topic("t", 2, 0, {0: 10, 1: 10}, None)
    assert rate(None, {0: 1}, 1.0) is None
    assert rate(before, {0: 20, 1: 20}, 2.0) == 10.0
    assert rate(before, {0: 0}, 2.0) == 0.0


def test_many_who_look_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is kept for a moment, and asked again after it."""
    times, asked = [100.0], []
    reader = StreamsReader(KafkaSettings(), lambda: times[0])

    def ask() -> Streams:
        asked.append(times[0])
        return Streams(1, (), (), times[0])

    monkeypatch.setattr(reader, "_ask", ask)
    assert reader.read() is reader.read()
    times[0] += 5
    reader.read()
    assert asked == [100.0, 105.0]
