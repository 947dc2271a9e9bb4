"""Bulk cancellations: a function's runs by when they started and by their event, applied by the owners of the runs.

Each owner looks through the runs that it holds, a portion at a time, so that nothing else waits; then it remembers that
it did (`CancellationApplied`). Dying in between costs looking again: a run that has ended is not cancelled twice. A run
that starts later, but within the cancellation's time, is cancelled at its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from ..errors import UndecodableRecord
from ..functions.table import FunctionTable
from ..functions.triggering import Conditions
from ..messages import keys
from ..messages.codec import Codec
from ..messages.ids import FunctionKey, RunId
from ..messages.records import Cancellation, CancellationApplied, RunStarted
from ..state.store import PartitionState
from .runstore import Draft

#: Runs that are looked at in one commit: few enough that it stays short when all of them are cancelled.
PORTION = 100
#: A cancellation whose time is over for this long says nothing any more; until then it is remembered as applied.
LIFETIME_MS = 30 * 24 * 3600 * 1000
_PREFIX = b"run/"
_PREFIX_END = b"run0"


@dataclass(frozen=True, slots=True)
class CancellationScan:
    """A cancellation on its way through the partition's runs; `start` is the first key not looked at."""

    cancellation: Cancellation
    start: bytes = _PREFIX


@dataclass(frozen=True, slots=True)
class Portion:
    """What a portion of the runs gave: those to cancel, and how to go on; None at the end."""

    cancelled: tuple[RunId, ...]
    following: CancellationScan | None


class BulkCancellations:
    """The cancellations that concern one partition."""

    def __init__(self, table: FunctionTable, state: PartitionState, codec: Codec) -> None:
        self._table = table
        self._state = state
        self._codec = codec
        self._conditions = Conditions()
        self._by_function: dict[FunctionKey, list[Cancellation]] = {}
        self._generation = -1
        self.under_way: frozenset[str] = frozenset()
        """Ids of those that are being applied."""

    def to_apply(self, draft: Draft, now: int) -> list[CancellationScan]:
        """Those that this partition has not applied; to be asked whenever the table has changed."""
        found = [each for each in self._table.cancellations() if self._is_new(each, draft, now)]
        self.under_way |= {each.id for each in found}
        return [CancellationScan(each) for each in found]

    def look(self, scan: CancellationScan, draft: Draft, now: int) -> Portion:
        """Look at the next portion of the partition's runs; after the last one, remember that."""
        cancellation = scan.cancellation
        if cancellation not in self._of(cancellation.function):
            self.under_way -= {cancellation.id}
            return Portion((), None)  # it was deleted meanwhile: what it has not cancelled yet goes on
        runs = list(islice(self._state.scan(scan.start, _PREFIX_END, PORTION), PORTION))
        cancelled = tuple(self._concerned(cancellation, (value for _, value in runs), draft))
        if len(runs) == PORTION:
            return Portion(cancelled, CancellationScan(cancellation, runs[-1][0] + b"\0"))
        self.under_way -= {cancellation.id}
        applied = CancellationApplied(cancellation.id, now, _lapses_at(cancellation))
        draft.write(keys.cancellation_key(cancellation.id), applied)
        return Portion(cancelled, None)

    def at_start(self, started: RunStarted, now: int) -> Cancellation | None:
        """The cancellation that ends a run as it starts, or None."""
        found = self._of(started.function)
        return next((each for each in found if now < _lapses_at(each) and self._concerns(each, started)), None)

    def _of(self, function: FunctionKey) -> Sequence[Cancellation]:
        """Grouped once per change of the table: it is asked at every start."""
        if self._generation != self._table.generation:
            self._generation = self._table.generation
            self._by_function = {}
            for each in self._table.cancellations():
                self._by_function.setdefault(each.function, []).append(each)
        return self._by_function.get(function, ())

    def _is_new(self, cancellation: Cancellation, draft: Draft, now: int) -> bool:
        if cancellation.id in self.under_way or now >= _lapses_at(cancellation):
            return False
        return draft.record(keys.cancellation_key(cancellation.id)) is None

    def _concerned(self, cancellation: Cancellation, runs: Iterable[bytes], draft: Draft) -> Iterable[RunId]:
        for value in runs:
            started = self._started(value)
            if started is None:
                continue
            ended = draft.record(keys.end_key(started.run_id))
            if ended is None and self._concerns(cancellation, started):
                yield started.run_id

    def _started(self, value: bytes) -> RunStarted | None:
        try:
            return self._codec.decode_as(RunStarted, value)
        except UndecodableRecord:
            return None  # no run: said so whenever it is asked for

    def _concerns(self, cancellation: Cancellation, started: RunStarted) -> bool:
        if started.function != cancellation.function:
            return False
        if not cancellation.started_after < started.started_at < cancellation.started_before:
            return False
        if not cancellation.condition:
            return True
        event = orjson.loads(started.events[0]) if started.events else {}
        return self._conditions.hold(cancellation.condition, event, started.received_at)


def reason_of(cancellation: Cancellation) -> str:
    """What people read about a run that was cancelled like this."""
    return f"cancelled in bulk by cancellation {cancellation.id}"


def _lapses_at(cancellation: Cancellation) -> int:
    return max(cancellation.created_at, cancellation.started_before) + LIFETIME_MS
