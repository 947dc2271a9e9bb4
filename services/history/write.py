"""Rows into the database, together with how far the topics have been read.

The offsets are the fence: a transaction first moves each partition from where this process believes it to be, and
when another process has moved it, nothing is written. So any number of processes may try, and each record counts once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import BindParameter, ClauseElement, Connection, Engine, Table, bindparam, delete, select, text, update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler

from ..errors import Fenced, Unavailable
from .changes import changed_ids
from .database import trouble
from .rows import ENDED_COLUMNS, STARTED_COLUMNS, Row, Rows, Value
from .tables import (
    apps,
    attempts,
    dead_letters,
    event_users,
    events,
    function_versions,
    functions,
    jobs,
    offsets,
    run_events,
    run_users,
    runs,
    steps,
)
from .upsert import insert_new, upsert

log = logging.getLogger(__name__)

#: Batches whose changes are kept for those who follow along: some minutes under load.
KEPT_CHANGES = 1000

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
            raise Unavailable(f"the history database does not answer: {trouble(error)}") from error
        return {(row.topic, row.partition): row.next_offset for row in rows}

    def write(self, rows: Rows, moves: Sequence[Move]) -> None:
        """Everything in one transaction:

        1. the offsets move on, or `Fenced` says that another process moved them;
        2. the rows change;
        3. what they are is noted for those who follow along, under the next number;
        4. commit. A crash before it leaves offsets and rows as they were, so the batch is read again.

        A row that the database can never take is left out and logged, so that it does not hold up the rest.
        """
        try:
            try:
                self._transaction(rows, moves, careful=False)
            except (DataError, IntegrityError):
                self._transaction(rows, moves, careful=True)
        except DBAPIError as error:
            raise Unavailable(f"the history database does not take the batch: {trouble(error)}") from error

    def _transaction(self, rows: Rows, moves: Sequence[Move], careful: bool) -> None:
        with self._engine.begin() as connection:
            self._move(connection, sorted(moves, key=lambda move: move.place))
            for statement, changes in self._statements.changes(rows):
                if careful:
                    _one_by_one(connection, statement, changes)
                else:
                    statement.execute(connection, changes)
            self._note(connection, rows)

    def _note(self, connection: Connection, rows: Rows) -> None:
        """Last of all, because on PostgreSQL writers pass here one after the other: numbers are in order of commit."""
        noted = {"now": time.time_ns() // 1_000_000, "ids": changed_ids(rows), "kept": KEPT_CHANGES}
        for statement in _NOTE:
            connection.execute(statement, noted)

    def _move(self, connection: Connection, moves: Sequence[Move]) -> None:
        first = [self._move_row(move) for move in moves if move.expected is None]
        later = [self._move_row(move) for move in moves if move.expected is not None]
        moved = self._statements.first_move.execute(connection, first) if first else 0
        moved += self._statements.move.execute(connection, later) if later else 0
        if moved != len(moves):
            places = ", ".join(f"{topic}/{partition}" for topic, partition in (move.place for move in moves))
            raise Fenced(f"another process has read on in one of {places}")

    def _move_row(self, move: Move) -> Row:
        topic, partition = move.place
        row: Row = {"cluster": self._cluster, "topic": topic, "partition": partition, "next_offset": move.next_offset}
        if move.expected is None:
            return row
        return {f"at_{name}": value for name, value in row.items()} | {"expected": move.expected}


#: Columns by which a row is found.
_NAMES = frozenset(("id", "run_id", "event_id", "job_id", "step_id", "key", "topic", "partition", "offset"))
_NOTE = (
    text("UPDATE penstock_model SET changes = changes + 1"),
    text("INSERT INTO changes (sequence, written_at, ids) SELECT changes, :now, :ids FROM penstock_model"),
    text("DELETE FROM changes WHERE sequence <= (SELECT changes FROM penstock_model) - :kept"),
)


class _Prepared:
    """A statement as the driver takes it: written by SQLAlchemy once, not for every batch."""

    def __init__(self, dialect: Dialect, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"{statement} is no statement on rows")
        self._sql = str(compiled)
        self._order = compiled.positiontup if compiled.positional else None

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """How many rows it changed, all parameters together."""
        if self._order is None:
            return connection.exec_driver_sql(self._sql, list(rows)).rowcount
        if len(self._order) == 1:
            (name,) = self._order
            return connection.exec_driver_sql(self._sql, [(row[name],) for row in rows]).rowcount
        in_order = itemgetter(*self._order)
        return connection.exec_driver_sql(self._sql, [in_order(row) for row in rows]).rowcount


class _Statements:
    """One statement per kind of change."""

    def __init__(self, dialect: Dialect) -> None:
        def new(table: Table) -> _Prepared:
            return _Prepared(dialect, insert_new(dialect, table), [column.name for column in table.columns])

        def replaced(table: Table, columns: tuple[str, ...]) -> _Prepared:
            return _Prepared(dialect, upsert(dialect, table, columns), columns)

        self._events = new(events)
        self._run_events = new(run_events)
        self._steps = new(steps)
        self._attempts = new(attempts)
        self._event_users = new(event_users)
        self._run_users = new(run_users)
        self._functions = replaced(functions, tuple(column.name for column in functions.columns))
        self._function_versions = new(function_versions)
        self._apps = replaced(apps, tuple(column.name for column in apps.columns))
        self._dead_letters = new(dead_letters)
        self._started = replaced(runs, STARTED_COLUMNS)
        self._ended = replaced(runs, ENDED_COLUMNS)
        self._whole = replaced(runs, STARTED_COLUMNS + ENDED_COLUMNS[1:])
        self._jobs = replaced(jobs, tuple(column.name for column in jobs.columns))
        of_job = (jobs.c.run_id == bindparam("run"), jobs.c.job_id == bindparam("job"))
        self._job_done = _Prepared(dialect, delete(jobs).where(*of_job))
        purged_run = runs.c.run_id == bindparam("run")
        not_seen: dict[str, BindParameter[Value]] = {name: bindparam(f"at_{name}") for name in ENDED_COLUMNS[1:]}
        end_not_seen = update(runs).where(purged_run, runs.c.ended_at.is_(None)).values(not_seen)
        self._end_not_seen = _Prepared(dialect, end_not_seen, ())
        self._jobs_purged = _Prepared(dialect, delete(jobs).where(jobs.c.run_id == bindparam("run")))
        self.first_move = new(offsets)
        believed = (
            offsets.c.cluster == bindparam("at_cluster"),
            offsets.c.topic == bindparam("at_topic"),
            offsets.c.partition == bindparam("at_partition"),
            offsets.c.next_offset == bindparam("expected"),
        )
        self.move = _Prepared(
            dialect, update(offsets).where(*believed).values(next_offset=bindparam("at_next_offset")), ()
        )

    def changes(self, rows: Rows) -> list[tuple[_Prepared, list[Row]]]:
        """The statements of a batch with their parameters; none without any."""
        started, ended, whole = _runs_by_columns(rows.started, rows.ended)
        done: list[Row] = [{"run": run, "job": job} for run, job in rows.done_jobs]
        purged: list[Row] = [{"run": run} for run in rows.purged]
        every = [
            (self._events, list(rows.events.values())),
            (self._whole, whole),
            (self._started, started),
            (self._ended, ended),
            (self._run_events, list(rows.run_events.values())),
            (self._steps, list(rows.steps.values())),
            (self._jobs, list(rows.jobs.values())),
            (self._job_done, done),
            (self._attempts, list(rows.attempts.values())),
            (self._event_users, list(rows.event_users.values())),
            (self._run_users, list(rows.run_users.values())),
            (self._functions, list(rows.functions.values())),
            (self._function_versions, list(rows.function_versions.values())),
            (self._apps, list(rows.apps.values())),
            (self._dead_letters, list(rows.dead_letters.values())),
            # Behind the ends of the same batch: an end that has been seen stays.
            (self._end_not_seen, list(rows.purged.values())),
            (self._jobs_purged, purged),
        ]
        return [(statement, changes) for statement, changes in every if changes]


def _runs_by_columns(started: Mapping[str, Row], ended: Mapping[str, Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Runs of which a batch has the start, the end, or both: the last in one row, status and output together."""
    only_started = [row for run, row in started.items() if run not in ended]
    only_ended = [row for run, row in ended.items() if run not in started]
    whole = [row | ended[run] for run, row in started.items() if run in ended]
    return only_started, only_ended, whole


def _one_by_one(connection: Connection, statement: _Prepared, changes: Sequence[Row]) -> None:
    for change in changes:
        try:
            with connection.begin_nested():
                statement.execute(connection, [change])
        except (DataError, IntegrityError) as error:
            log.error("the history database refuses a row, it is left out: %s: %s", _named(change), _kind(error))


def _named(change: Row) -> str:
    """Which row it is. What else is in it was sent by users, and is not for logs."""
    told = {name: str(value)[:100] for name, value in change.items() if name in _NAMES and value is not None}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _kind(error: DBAPIError) -> str:
    """What the database calls the error; its text quotes values."""
    return f"{type(error.orig).__name__} {getattr(error.orig, 'sqlstate', None) or ''}".strip()
