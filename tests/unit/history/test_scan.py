"""Searching in portions, for a bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.history.paging import PageRequest
from penstock.history.scan import CHUNK, MAX_PORTION, PORTION, Candidate, Scan


class Numbers:
    """The numbers below `count`, of which those fit that `fits` says, and only `inside` says so for sure."""

    def __init__(self, count: int, fits: Any = None, inside: Any = None) -> None:
        self._ids = [f"{number:06d}" for number in range(count)]
        self._fits, self._inside = fits, inside
        self.looked_at = 0
        self.largest = 0

    @property
    def selective(self) -> bool:
        return self._fits is not None or self._inside is not None

    @property
    def looks_inside(self) -> bool:
        return self._inside is not None

    def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
        ids = self._ids[::-1] if descending else self._ids
        start = ids.index(cursor) + 1 if cursor else 0
        self.looked_at += size
        fits = self._fits or (lambda _number: True)
        return [Candidate(one, one, fits(int(one))) for one in ids[start : start + size]]

    def rows(self, ids: Sequence[str]) -> Sequence[Any]:
        self.largest = max(self.largest, len(ids))
        inside = self._inside or (lambda _number: True)
        return [SimpleNamespace(id=one) for one in ids if inside(int(one))]


class Clock:
    """Moves on by `step` with every look."""

    def __init__(self, step: float) -> None:
        self._now, self._step = 0.0, step

    def __call__(self) -> float:
        self._now += self._step
        return self._now


def everything(source: Numbers, limit: int, step: float = 0.0) -> tuple[list[int], bool]:
    """All pages together, and whether each was full or the last."""
    found: list[int] = []
    cursor, complete = "", True
    for _ in range(10_000):
        page = Scan(source, 1.0, Clock(step)).page(PageRequest(limit, cursor), "id")
        found += [int(row.id) for row in page.rows]
        complete &= page.complete
        if not page.next_cursor:
            return found, complete
        cursor = page.next_cursor
    raise AssertionError("the pages do not end")


FITS = [None, lambda n: n % 7 == 0, lambda n: n == 3, lambda n: False]


@pytest.mark.parametrize("limit", [1, 10, 100])
@pytest.mark.parametrize("fits", FITS)
@pytest.mark.parametrize("inside", FITS)
@pytest.mark.parametrize("step", [0.0, 0.4])
def test_pages_meet_without_gap_or_overlap(limit: int, fits: Any, inside: Any, step: float) -> None:
    """Whatever fits, however large the pages, and whether or not the time was enough."""
    found, complete = everything(Numbers(1300, fits, inside), limit, step)
    assert found == [n for n in reversed(range(1300)) if (fits is None or fits(n)) and (inside is None or inside(n))]
    if step == 0.0:
        assert complete


def test_a_page_that_an_index_answers_asks_for_no_more() -> None:
    """One portion of just the page, and one more to know whether another follows."""
    source = Numbers(10_000)
    page = Scan(source, 1.0, Clock(0)).page(PageRequest(20), "id")
    assert (len(page.rows), source.looked_at, page.next_cursor, page.complete) == (20, 21, "009980", True)


def test_a_search_ends_with_its_time() -> None:
    """It says so, and from where it goes on."""
    source = Numbers(100_000, lambda n: False)
    page = Scan(source, 1.0, Clock(1.1)).page(PageRequest(20), "id")
    assert (page.rows, page.complete) == ([], False)
    assert source.looked_at == PORTION
    assert page.next_cursor == f"{100_000 - PORTION:06d}"


def test_portions_grow_while_they_are_quick() -> None:
    """Up to a bound, so that the clock is looked at often enough."""
    sizes: list[int] = []

    class Watched(Numbers):
        def candidates(self, cursor: str, descending: bool, size: int) -> Sequence[Candidate]:
            sizes.append(size)
            return super().candidates(cursor, descending, size)

    Scan(Watched(12_000, lambda n: False), 1.0, Clock(0)).page(PageRequest(20), "id")
    assert sizes == [PORTION, 2 * PORTION, 4 * PORTION, MAX_PORTION, MAX_PORTION, MAX_PORTION]
    sizes.clear()
    Scan(Watched(12_000, lambda n: False), 1.0, Clock(0.13)).page(PageRequest(20), "id")
    assert set(sizes) == {PORTION}


def test_few_payloads_are_in_memory_together() -> None:
    """They may be megabytes each."""
    source = Numbers(2000, inside=lambda n: False)
    Scan(source, 1.0, Clock(0)).page(PageRequest(100), "id")
    assert source.largest == CHUNK


def test_counting_is_exact_until_its_time_is_over() -> None:
    """After that it is at least so many."""
    counted = Scan(Numbers(3000, lambda n: n % 2 == 0), 1.0, Clock(0)).count()
    assert (counted.count, counted.exact) == (1500, True)
    counted = Scan(Numbers(3000, None, lambda n: n % 2 == 0), 1.0, Clock(0)).count()
    assert (counted.count, counted.exact) == (1500, True)
    counted = Scan(Numbers(3000, lambda n: n % 2 == 0), 1.0, Clock(1.1)).count()
    assert (counted.count, counted.exact) == (PORTION // 2, False)
