"""The matchers' consumer group: who has which partitions, the offsets that are stored, and who is fenced off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.errors import Fenced
from penstock.matcher.acknowledgements import Place
from tests.unit.matcher.logs import StoredOffsets


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a member has been given, in which generation of the group."""

    generation: int
    places: tuple[Place, ...]


@dataclass
class Group:
    """The broker's side: partitions of one number go to one member, whatever their topic."""

    places: Sequence[Place]
    generation: int = 0
    matched: StoredOffsets = field(default_factory=StoredOffsets)

    def rebalance(self, members: int) -> list[Assignment]:
        """A new generation; who is of an earlier one can store nothing any more."""
        self.generation += 1
        return [
            Assignment(self.generation, tuple(place for place in self.places if place[1] % members == member))
            for member in range(members)
        ]

    def commit(self, generation: int, noted: Mapping[Place, tuple[int, str]]) -> None:
        if generation != self.generation:
            raise Fenced("the group has gone on")
        self.matched.write(noted)
