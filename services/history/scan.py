"""A list by conditions that no index answers: read in portions along an index, for a bounded time.

A search that takes longer gives what it has, and a cursor from which it goes on. So no condition, however rare what it
looks for, holds a connection or a caller for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .paging import Counted, Found, Listed, PageRequest

#: Rows looked at between two looks at the clock: at first, and at most when that goes quickly.
PORTION = 500
MAX_PORTION = 4000
#: Rows with payloads that are in memory together.
CHUNK = 25


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

    @property
    def looks_inside(self) -> bool:
        """True when only the rows, with their payloads, show whether a candidate fits."""

    def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
        """The next `size` in order behind `cursor`; fewer only at the end."""

    def rows(self, ids: Sequence[str]) -> Sequence[Found]:
        """The rows of these, in the same order, as far as they fit every condition; may leave out any."""


class Scan:
    """Searches one source."""

    def __init__(
        self,
        source: Source,
        budget_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._clock = clock
        self._quick = budget_seconds / 8
        self._looked = clock()
        self._end = self._looked + budget_seconds

    def page(self, request: PageRequest, id_of: str) -> Listed:
        """Fill a page; `id_of` names the column that holds a candidate's id."""
        cursor, found = request.cursor, list[Found]()
        size = PORTION if self._source.selective else request.limit + 1
        while True:
            candidates = self._source.candidates(cursor, request.descending, size)
            cursors = {candidate.id: candidate.cursor for candidate in candidates}
            for chunk in self._chunks([c for c in candidates if c.fits], request.limit - len(found) + 1):
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
            size = self._next_portion(size)

    def count(self) -> Counted:
        """Count until the time is over."""
        cursor, counted, size = "", 0, PORTION
        while True:
            candidates = self._source.candidates(cursor, True, size)
            fitting = [candidate for candidate in candidates if candidate.fits]
            if not self._source.looks_inside:
                counted += len(fitting)
            else:
                for chunk in self._chunks(fitting, CHUNK):
                    counted += len(self._source.rows([candidate.id for candidate in chunk]))
                    if self._is_over():
                        return Counted(counted, exact=False)
            if len(candidates) < size:
                return Counted(counted)
            cursor = candidates[-1].cursor
            if self._is_over():
                return Counted(counted, exact=False)
            size = self._next_portion(size)

    def _chunks(self, candidates: Sequence[Candidate], wanted: int) -> Iterator[Sequence[Candidate]]:
        """As many as are still wanted; where payloads are looked into, only so many as may be in memory together."""
        size = CHUNK if self._source.looks_inside else wanted
        return (candidates[start : start + size] for start in range(0, len(candidates), size))

    def _next_portion(self, size: int) -> int:
        """Twice as many after a portion that was quick."""
        before, self._looked = self._looked, self._clock()
        return min(size * 2, MAX_PORTION) if self._looked - before < self._quick else size

    def _is_over(self) -> bool:
        return self._clock() > self._end
