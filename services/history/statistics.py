"""How functions do over time: rates, failures, durations. Counted on an index; durations from a bounded sample.

A run counts at the moment that it was queued, which its id begins with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all

from ..errors import InvalidInput
from ..messages.ids import ulid
from .paging import Counted, Found
from .plain_text import plain
from .reading import Reader
from .run_list import STATUSES
from .tables import functions, is_text, runs

MAX_BUCKETS = 200
#: Runs of a bucket whose durations are looked at, the latest of each status.
SAMPLE = 100
#: Of one function and status, more are counted as "at least".
_CAP = 50_000
#: A statement asks for so many ranges together; SQLite takes up to 500.
_RANGES_AT_ONCE = 100
_MEASURED = ("Completed", "Failed")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Runs queued from `start` on, for one bucket's length; times in milliseconds, None without a sample."""

    start: int
    counts: dict[str, int]
    sampled: int
    p50: int | None
    p90: int | None
    p99: int | None
    wait_p50: int | None
    wait_p99: int | None


class Statistics:
    """Answers about times that ended or go on."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def overview(self, since: int, until: int) -> dict[str, dict[str, Counted]]:
        """For each function that is not archived, how many runs have each status that any has."""
        keys = [row.key for row in self._reader.all(select(functions.c.key).where(functions.c.archived.is_(False)))]
        counts = self._counts([_Range(key, status, since, until) for key in keys for status in STATUSES])
        found: dict[str, dict[str, Counted]] = {key: {} for key in keys}
        for place, counted in counts.items():
            found[place.function][place.status] = counted
        return found

    def of_function(self, function: str, since: int, until: int, buckets: int) -> tuple[Bucket, ...]:
        """The time in equal buckets, the earliest first."""
        if not 1 <= buckets <= MAX_BUCKETS:
            raise InvalidInput(f"buckets must be from 1 to {MAX_BUCKETS}, not {buckets}")
        if until <= since:
            raise InvalidInput("until must be later than from")
        edges = list(pairwise(since + (until - since) * number // buckets for number in range(buckets + 1)))
        counts = self._counts([_Range(function, status, *edge) for edge in edges for status in STATUSES])
        samples = self._samples([place for place in counts if place.status in _MEASURED])
        return tuple(_bucket(start, counts, samples[start]) for start, _end in edges)

    def _counts(self, ranges: Sequence[_Range]) -> dict[_Range, Counted]:
        """How many runs each range has; ranges without any are left out."""
        found: dict[_Range, Counted] = {}
        for part in _parts(ranges):
            rows = self._reader.all(union_all(*(_counting(place, number) for number, place in enumerate(part))))
            found |= {part[r.place]: Counted(min(r.found, _CAP), r.found <= _CAP) for r in rows if r.found}
        return found

    def _samples(self, ranges: Sequence[_Range]) -> dict[int, list[Found]]:
        """The latest runs of each range, by the range's start."""
        found: dict[int, list[Found]] = defaultdict(list)
        for part in _parts(ranges):
            sampled = [select(_sampling(place, number).subquery()) for number, place in enumerate(part)]
            for row in self._reader.all(union_all(*sampled)):
                found[part[row.place].since].append(row)
        return found


@dataclass(frozen=True, slots=True)
class _Range:
    """Runs of a function with a status that were queued in a time: one range of the index."""

    function: str
    status: str
    since: int
    until: int


def _bucket(start: int, counts: Mapping[_Range, Counted], sample: Sequence[Found]) -> Bucket:
    durations = sorted(max(row.ended_at - row.started_at, 0) for row in sample)
    waits = sorted(max(row.started_at - row.received_at, 0) for row in sample)
    return Bucket(
        start,
        {place.status: counted.count for place, counted in counts.items() if place.since == start},
        len(sample),
        _percentile(durations, 50),
        _percentile(durations, 90),
        _percentile(durations, 99),
        _percentile(waits, 50),
        _percentile(waits, 99),
    )


def _parts(ranges: Sequence[_Range]) -> Iterator[Sequence[_Range]]:
    return (ranges[start : start + _RANGES_AT_ONCE] for start in range(0, len(ranges), _RANGES_AT_ONCE))


def _counting(place: _Range, number: int) -> Select[Any]:
    capped = select(runs.c.run_id).where(*_in_range(place)).limit(_CAP + 1)
    columns: list[ColumnElement[Any]] = [literal(number).label("place"), func.count().label("found")]
    return select(*columns).select_from(capped.subquery())


def _sampling(place: _Range, number: int) -> Select[Any]:
    query = select(literal(number).label("place"), runs.c.received_at, runs.c.started_at, runs.c.ended_at)
    query = query.where(*_in_range(place), runs.c.ended_at.is_not(None))
    return query.order_by(runs.c.run_id.desc()).limit(SAMPLE)


def _in_range(place: _Range) -> tuple[ColumnElement[bool], ...]:
    first, last = ulid(place.since, bytes(10)), ulid(place.until, bytes(10))
    of_function = is_text(runs.c.function, plain(place.function))
    return of_function, runs.c.status == place.status, runs.c.run_id >= first, runs.c.run_id < last


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest rank."""
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)] if ordered else None
