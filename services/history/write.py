"""Rows into the database, together with how far the topics have been read.

The offsets are the fence: a transaction first moves each partition from where this process believes it to be, and
when another process has moved it, nothing is written. So any number of processes may try, and each record counts once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Executable, bindparam, delete, select, update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ..errors import Fenced, Unavailable
from .rows import ENDED_COLUMNS, STARTED_COLUMNS, Row, Rows
from .tables import events, jobs, offsets, run_events, runs, steps
from .upsert import insert_new, upsert

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Move:
    """A partition read from `expected` (None: never before) up to, not including, `next_offset`."""

    place: Place
    expected: int | None
    next_offset: int


class HistoryWriter:
    """Writes batches. All methods block; a database that is away raises `Unavailable`, and nothing was written
    or all of it was, which the next look at `positions` shows."""

    def __init__(self, engine: Engine, cluster: str) -> None:
        self._engine = engine
        self._cluster = cluster
        self._statements = _Statements(engine.dialect)

    def positions(self) -> dict[Place, int]:
        """The offset that comes next in each partition read before."""
        query = select(offsets.c.topic, offsets.c.partition, offsets.c.next_offset)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query.where(offsets.c.cluster == self._cluster)).all()
        except DBAPIError as error:
            raise Unavailable(f"the history database does not answer: {error.orig}") from error
        return {(row.topic, row.partition): row.next_offset for row in rows}

    def write(self, rows: Rows, moves: Sequence[Move]) -> None:
        """Everything in one transaction:

        1. the offsets move on, or `Fenced` says that another process moved them;
        2. the rows change;
        3. commit. A crash before it leaves offsets and rows as they were, so the batch is read again.

        A row that the database can never take is left out and logged, so that it does not hold up the rest.
        """
        try:
            try:
                self._transaction(rows, moves, careful=False)
            except (DataError, IntegrityError):
                self._transaction(rows, moves, careful=True)
        except DBAPIError as error:
            raise Unavailable(f"the history database does not take the batch: {error.orig}") from error

    def _transaction(self, rows: Rows, moves: Sequence[Move], careful: bool) -> None:
        with self._engine.begin() as connection:
            for move in sorted(moves, key=lambda move: move.place):
                self._move(connection, move)
            for statement, changes in self._statements.changes(rows):
                if careful:
                    _one_by_one(connection, statement, changes)
                else:
                    connection.execute(statement, changes)

    def _move(self, connection: Connection, move: Move) -> None:
        topic, partition = move.place
        if move.expected is None:
            row = {"cluster": self._cluster, "topic": topic, "partition": partition, "next_offset": move.next_offset}
            insert = insert_new(connection.dialect, offsets).values(row).returning(offsets.c.next_offset)
            moved = connection.execute(insert).first()
        else:
            believed = update(offsets).where(
                offsets.c.cluster == self._cluster,
                offsets.c.topic == topic,
                offsets.c.partition == partition,
                offsets.c.next_offset == move.expected,
            )
            moved = connection.execute(
                believed.values(next_offset=move.next_offset).returning(offsets.c.next_offset)
            ).first()
        if moved is None:
            raise Fenced(f"another process has read {topic}/{partition} beyond {move.expected}")


class _Statements:
    """One statement per kind of change, made once: SQLAlchemy keeps what it compiled of them."""

    def __init__(self, dialect: Dialect) -> None:
        self._events = insert_new(dialect, events)
        self._started = upsert(dialect, runs, STARTED_COLUMNS)
        self._ended = upsert(dialect, runs, ENDED_COLUMNS)
        self._whole = upsert(dialect, runs, STARTED_COLUMNS + ENDED_COLUMNS[1:])
        self._run_events = insert_new(dialect, run_events)
        self._steps = insert_new(dialect, steps)
        self._jobs = upsert(dialect, jobs, tuple(column.name for column in jobs.columns))
        self._job_done = delete(jobs).where(jobs.c.run_id == bindparam("run"), jobs.c.job_id == bindparam("job"))

    def changes(self, rows: Rows) -> list[tuple[Executable, list[Row]]]:
        """The statements of a batch with their parameters; none without any."""
        started, ended, whole = _runs_by_columns(rows.started, rows.ended)
        done: list[Row] = [{"run": run, "job": job} for run, job in rows.done_jobs]
        every: list[tuple[Executable, list[Row]]] = [
            (self._events, list(rows.events.values())),
            (self._whole, whole),
            (self._started, started),
            (self._ended, ended),
            (self._run_events, list(rows.run_events.values())),
            (self._steps, list(rows.steps.values())),
            (self._jobs, list(rows.jobs.values())),
            (self._job_done, done),
        ]
        return [(statement, changes) for statement, changes in every if changes]


def _runs_by_columns(started: Mapping[str, Row], ended: Mapping[str, Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Runs of which a batch has the start, the end, or both: the last in one row, status and output together."""
    only_started = [row for run, row in started.items() if run not in ended]
    only_ended = [row for run, row in ended.items() if run not in started]
    whole = [row | ended[run] for run, row in started.items() if run in ended]
    return only_started, only_ended, whole


def _one_by_one(connection: Connection, statement: Executable, changes: Sequence[Row]) -> None:
    for change in changes:
        try:
            with connection.begin_nested():
                connection.execute(statement, change)
        except (DataError, IntegrityError) as error:
            log.error("the history database refuses a row, it is left out: %s: %s", str(change)[:500], error.orig)
