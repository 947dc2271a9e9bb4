"""Topic names, shapes and partition counts.

`run-steps` and `run-state` share one partition count, because a run's commands and its changelog belong to one owner;
`waits` and `correlations` share one, so that an event and the waits for it meet. Counts are fixed at creation: a run
id's bucket, or a correlation, is mapped to a partition by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cleanup = Literal["delete", "compact", "compact,delete"]
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The shape that a topic must have; `config` holds broker-side settings as Kafka names them."""

    name: str
    partitions: int
    cleanup: Cleanup
    config: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation, by prefix and partition counts."""

    prefix: str = "penstock."
    event_partitions: int = 4
    run_partitions: int = 4
    wait_partitions: int = 4

    @property
    def events(self) -> str:
        return self.prefix + "events"

    @property
    def internal_events(self) -> str:
        return self.prefix + "internal-events"

    @property
    def functions(self) -> str:
        return self.prefix + "functions"

    @property
    def run_steps(self) -> str:
        return self.prefix + "run-steps"

    @property
    def run_state(self) -> str:
        return self.prefix + "run-state"

    @property
    def waits(self) -> str:
        return self.prefix + "waits"

    @property
    def correlations(self) -> str:
        return self.prefix + "correlations"

    @property
    def wait_shapes(self) -> str:
        return self.prefix + "wait-shapes"

    @property
    def replays(self) -> str:
        return self.prefix + "replays"

    @property
    def dead_letters(self) -> str:
        return self.prefix + "dead-letters"

    def written_by_owners(self) -> list[tuple[str, int]]:
        """Topic and partition of everything that owners of runs write to beside their changelog."""
        return [
            *((self.run_steps, partition) for partition in range(self.run_partitions)),
            *((self.waits, partition) for partition in range(self.wait_partitions)),
            *((self.internal_events, partition) for partition in range(self.event_partitions)),
            (self.wait_shapes, 0),
            (self.dead_letters, 0),
        ]

    def specs(self) -> tuple[TopicSpec, ...]:
        """Every topic with the shape that it needs."""
        day, week, month = str(DAY_MS), str(7 * DAY_MS), str(30 * DAY_MS)
        # No wait lasts longer than 366 days; its shape must outlive it.
        longer_than_any_wait = str(400 * DAY_MS)
        large = ("max.message.bytes", str(10 * 1024 * 1024))
        # A changelog's tombstones must outlive any local copy that is brought up to date from it.
        compaction = (("delete.retention.ms", str(DAY_MS)), large)
        return (
            TopicSpec(self.events, self.event_partitions, "delete", (("retention.ms", month), large)),
            TopicSpec(self.internal_events, self.event_partitions, "delete", (("retention.ms", week), large)),
            TopicSpec(self.functions, 1, "compact", compaction),
            TopicSpec(self.run_steps, self.run_partitions, "delete", (("retention.ms", week), large)),
            TopicSpec(self.run_state, self.run_partitions, "compact", compaction),
            TopicSpec(self.waits, self.wait_partitions, "compact", compaction),
            TopicSpec(self.correlations, self.wait_partitions, "delete", (("retention.ms", day), large)),
            # A shape's earlier records say since when it is needed: they must outlive a matcher's absence.
            TopicSpec(
                self.wait_shapes,
                1,
                "compact,delete",
                (("retention.ms", longer_than_any_wait), ("min.compaction.lag.ms", day), large),
            ),
            TopicSpec(self.replays, 1, "compact", compaction),
            TopicSpec(self.dead_letters, 1, "delete", (("retention.ms", month), large)),
        )
