"""How functions do over time: rates, failures, durations. Counted on an index; durations from a bounded sample.

A run counts at the moment that it was queued, which its id begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Select, func, select

from ..errors import InvalidInput
from ..messages.ids import ulid
from .paging import Counted
from .plain_text import plain
from .reading import Reader
from .run_list import STATUSES
from .tables import functions, is_text, runs

MAX_BUCKETS = 200
#: Runs of a bucket whose durations are looked at, the latest of each status.
SAMPLE = 200
#: Of one function and status, more are counted as "at least".
_CAP = 50_000


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
        found = self._reader.all(select(functions.c.key).where(functions.c.archived.is_(False)))
        return {row.key: self._statuses(row.key, since, until) for row in found}

    def of_function(self, function: str, since: int, until: int, buckets: int) -> tuple[Bucket, ...]:
        """The time in equal buckets, the earliest first."""
        if not 1 <= buckets <= MAX_BUCKETS:
            raise InvalidInput(f"buckets must be from 1 to {MAX_BUCKETS}, not {buckets}")
        if until <= since:
            raise InvalidInput("until must be later than from")
        edges = [since + (until - since) * number // buckets for number in range(buckets + 1)]
        return tuple(self._bucket(function, start, end) for start, end in pairwise(edges))

    def _statuses(self, function: str, since: int, until: int) -> dict[str, Counted]:
        found = {status: self._count(function, status, since, until) for status in STATUSES}
        return {status: counted for status, counted in found.items() if counted.count}

    def _count(self, function: str, status: str, since: int, until: int) -> Counted:
        capped = select(runs.c.run_id).where(*_in_range(function, status, since, until)).limit(_CAP + 1)
        found = self._reader.number(select(func.count()).select_from(capped.subquery()))
        return Counted(min(found, _CAP), found <= _CAP)

    def _bucket(self, function: str, since: int, until: int) -> Bucket:
        counts = {status: counted.count for status, counted in self._statuses(function, since, until).items()}
        durations, waits = self._sample(function, [s for s in ("Completed", "Failed") if s in counts], since, until)
        return Bucket(
            since,
            counts,
            len(durations),
            _percentile(durations, 50),
            _percentile(durations, 90),
            _percentile(durations, 99),
            _percentile(waits, 50),
            _percentile(waits, 99),
        )

    def _sample(self, function: str, statuses: Sequence[str], since: int, until: int) -> tuple[list[int], list[int]]:
        durations: list[int] = []
        waits: list[int] = []
        for status in statuses:
            for row in self._reader.all(_sampled(function, status, since, until)):
                durations.append(max(row.ended_at - row.started_at, 0))
                waits.append(max(row.started_at - row.received_at, 0))
        return sorted(durations), sorted(waits)


def _in_range(function: str, status: str, since: int, until: int) -> tuple[Any, ...]:
    first, last = ulid(since, bytes(10)), ulid(until, bytes(10))
    of_function = is_text(runs.c.function, plain(function))
    return of_function, runs.c.status == status, runs.c.run_id >= first, runs.c.run_id < last


def _sampled(function: str, status: str, since: int, until: int) -> Select[Any]:
    query = select(runs.c.received_at, runs.c.started_at, runs.c.ended_at)
    query = query.where(*_in_range(function, status, since, until), runs.c.ended_at.is_not(None))
    return query.order_by(runs.c.run_id.desc()).limit(SAMPLE)


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest rank."""
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)] if ordered else None
