"""Old runs and events leave the database: in small portions, at most a tenth of the writer's time.

A run leaves some time after it ended, with its steps and attempts; one that has not ended stays. An event leaves when
it is old and no run is left that it started. Dead letters leave with events of their age. The topics have retention of
their own; nothing is deleted there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, exists, select
from sqlalchemy.exc import DBAPIError

from ..errors import Unavailable
from ..messages.ids import ulid
from .database import trouble
from .tables import attempts, dead_letters, event_users, events, jobs, run_events, run_users, runs, steps

PORTION = 500
#: Looked for again after this long, once nothing old is left.
REST_SECONDS = 300.0
#: A portion is followed by a pause this many times as long.
_PAUSE_FACTOR = 9.0
_OF_RUN = (steps, attempts, jobs, run_events, run_users)


@dataclass(frozen=True, slots=True)
class Ages:
    """How long things are kept, in milliseconds; 0 keeps them for ever."""

    runs_ms: int
    events_ms: int


class Retention:
    """Deletes portion by portion; whoever calls `sweep` in between writes says when.

    Each portion is a transaction of its own: killed, the next start goes on with what is still there.
    """

    def __init__(self, engine: Engine, ages: Ages, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._ages = ages
        self._clock = clock
        self._next = 0.0
        self._reached = ""
        """The id of the last old event that this round has looked at."""

    def sweep(self, now_ms: int) -> int:
        """Delete one portion if it is time for it; how many rows went."""
        began = self._clock()
        if began < self._next:
            return 0
        try:
            with self._engine.begin() as connection:
                looked, gone = self._portion(connection, now_ms)
        except DBAPIError as error:
            raise Unavailable(f"the history database does not delete what is old: {trouble(error)}") from error
        spent = self._clock() - began
        self._next = began + (spent * (1 + _PAUSE_FACTOR) if looked else REST_SECONDS)
        return gone

    def _portion(self, connection: Connection, now_ms: int) -> tuple[int, int]:
        """Rows looked at, and rows deleted."""
        if self._ages.runs_ms and (found := _old_runs(connection, now_ms - self._ages.runs_ms)):
            return len(found), _delete_runs(connection, found)
        if not self._ages.events_ms:
            return 0, 0
        bound = ulid(now_ms - self._ages.events_ms, bytes(10))
        if letters := _ids(connection, dead_letters, dead_letters.c.id < bound):
            connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(letters)))
            return len(letters), len(letters)
        old = _ids(connection, events, events.c.internal_id < bound, events.c.internal_id > self._reached)
        self._reached = old[-1] if len(old) == PORTION else ""
        return len(old) if self._reached else 0, _delete_events(connection, old)


def _old_runs(connection: Connection, before_ms: int) -> list[str]:
    query = select(runs.c.run_id).where(runs.c.ended_at.is_not(None), runs.c.ended_at < before_ms)
    return [row.run_id for row in connection.execute(query.order_by(runs.c.ended_at).limit(PORTION))]


def _delete_runs(connection: Connection, run_ids: Sequence[str]) -> int:
    gone = sum(connection.execute(delete(table).where(table.c.run_id.in_(run_ids))).rowcount for table in _OF_RUN)
    return gone + connection.execute(delete(runs).where(runs.c.run_id.in_(run_ids))).rowcount


def _ids(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> list[str]:
    key = next(iter(table.primary_key))
    return [str(row[0]) for row in connection.execute(select(key).where(*conditions).order_by(key).limit(PORTION))]


def _delete_events(connection: Connection, event_ids: Sequence[str]) -> int:
    if not event_ids:
        return 0
    needed = exists().where(run_events.c.event_internal_id == events.c.internal_id)
    unneeded = select(events.c.internal_id).where(events.c.internal_id.in_(event_ids), ~needed)
    gone = [row.internal_id for row in connection.execute(unneeded)]
    connection.execute(delete(event_users).where(event_users.c.internal_id.in_(gone)))
    return connection.execute(delete(events).where(events.c.internal_id.in_(gone))).rowcount
