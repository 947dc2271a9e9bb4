"""What changed lately, in the order in which it became visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from .reading import Reader
from .tables import changes

MAX_BATCHES = 100


@dataclass(frozen=True, slots=True)
class Change:
    """What one batch changed: JSON of ids, as `changes.py` writes it."""

    sequence: int
    ids: str


class ChangeList:
    """A ring of the latest batches."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def latest(self) -> int:
        """The number of the latest; 0 before the first."""
        return self._reader.number(select(func.max(changes.c.sequence)))

    def after(self, sequence: int) -> Sequence[Change] | None:
        """What came after, oldest first and bounded; None when some of it is no longer kept."""
        query = select(changes.c.sequence, changes.c.ids).where(changes.c.sequence > sequence)
        found = self._reader.all(query.order_by(changes.c.sequence).limit(MAX_BATCHES))
        if found and found[0].sequence != sequence + 1:
            return None
        return [Change(row.sequence, row.ids) for row in found]
