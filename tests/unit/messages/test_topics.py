"""Topic names and shapes."""

from __future__ import annotations

from penstock.messages.topics import Topics


def test_every_name_carries_the_prefix() -> None:
    """Two installations with different prefixes share no topic."""
    ours = {spec.name for spec in Topics("a.").specs()}
    theirs = {spec.name for spec in Topics("b.").specs()}
    assert all(name.startswith("a.") for name in ours)
    assert not ours & theirs


def test_a_runs_commands_and_changelog_are_co_partitioned() -> None:
    """Commands and state of a run belong to one owner, so both topics have the same partition count."""
    topics = Topics("", event_partitions=3, run_partitions=7)
    counts = {spec.name: spec.partitions for spec in topics.specs()}
    assert counts[topics.run_steps] == counts[topics.run_state] == 7
    assert counts[topics.events] == counts[topics.internal_events] == 3


def test_state_is_compacted_and_traffic_expires() -> None:
    """What is the truth is kept by key; what passes through is kept for a time."""
    topics = Topics()
    compacted = {spec.name for spec in topics.specs() if spec.cleanup == "compact"}
    assert compacted == {topics.functions, topics.run_state, topics.waits, topics.replays}
    for spec in topics.specs():
        assert ("retention.ms" in dict(spec.config)) == ("delete" in spec.cleanup)


def test_waits_and_the_events_that_they_may_meet_are_co_partitioned() -> None:
    """A wait and an event that are correlated alike belong to one owner."""
    topics = Topics("", wait_partitions=5)
    counts = {spec.name: spec.partitions for spec in topics.specs()}
    assert counts[topics.waits] == counts[topics.correlations] == 5


def test_every_topic_takes_the_largest_event() -> None:
    """An event of 3 MiB of data, with its run's state around it, fits into a record."""
    for spec in Topics().specs():
        if spec.name != Topics().functions:
            assert int(dict(spec.config)["max.message.bytes"]) >= 10 * 1024 * 1024
