"""A list by conditions that no index answers: read in portions along an index, for a bounded time.

A search that takes longer gives what it has, and a cursor from which it goes on. So no condition, however rare what it
looks for, holds a connection or a caller for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .paging import Counted, Found, Listed, PageRequest

#: Rows looked at between two looks at the clock; what a portion costs is small against the budget.
PORTION = 500
#: Rows with payloads that are in memory together.
CHUNK = 25
#: So that the answer is there within 150 ms.
BUDGET_SECONDS = 0.08


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item in the list's order: `fits` as far as the database can say."""

    id: str
    cursor: str
    fits: bool = True


class Source(Protocol):
    """What is searched."""

    @property
    def selective(self) -> bool:
        """True when the order's index does not hold every condition, so that many candidates may not fit."""

    def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
        """The next `size` in order behind `cursor`; fewer only at the end."""

    def rows(self, ids: Sequence[str]) -> Sequence[Found]:
        """The rows of these, in the same order, as far as they fit every condition; may leave out any."""


class Scan:
    """Searches one source."""

    def __init__(
        self,
        source: Source,
        budget_seconds: float = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._clock = clock
        self._end = clock() + budget_seconds

    def page(self, request: PageRequest, id_of: str) -> Listed:
        """Fill a page; `id_of` names the column that holds a candidate's id."""
        cursor, found = request.cursor, list[Found]()
        size = PORTION if self._source.selective else request.limit + 1
        while True:
            candidates = self._source.candidates(cursor, request.descending, size)
            cursors = {candidate.id: candidate.cursor for candidate in candidates}
            for chunk in self._chunks([c for c in candidates if c.fits]):
                for row in self._source.rows([candidate.id for candidate in chunk]):
                    if len(found) == request.limit:
                        return Listed(found, cursors.get(getattr(found[-1], id_of), cursor))
                    found.append(row)
                cursor = chunk[-1].cursor
                if self._is_over():
                    return Listed(found, cursor, complete=len(found) == request.limit)
            if len(candidates) < size:
                return Listed(found)
            cursor = candidates[-1].cursor
            if self._is_over():
                return Listed(found, cursor, complete=len(found) == request.limit)

    def count(self, look_inside: bool) -> Counted:
        """Count until the time is over; `look_inside` when only the rows show whether a candidate fits."""
        cursor, counted = "", 0
        while True:
            candidates = self._source.candidates(cursor, True, PORTION)
            fitting = [candidate for candidate in candidates if candidate.fits]
            if not look_inside:
                counted += len(fitting)
            else:
                for chunk in self._chunks(fitting):
                    counted += len(self._source.rows([candidate.id for candidate in chunk]))
                    if self._is_over():
                        return Counted(counted, exact=False)
            if len(candidates) < PORTION:
                return Counted(counted)
            cursor = candidates[-1].cursor
            if self._is_over():
                return Counted(counted, exact=False)

    def _chunks(self, candidates: Sequence[Candidate]) -> Sequence[Sequence[Candidate]]:
        size = CHUNK if self._source.selective else max(len(candidates), 1)
        return [candidates[start : start + size] for start in range(0, len(candidates), size)]

    def _is_over(self) -> bool:
        return self._clock() > self._end
