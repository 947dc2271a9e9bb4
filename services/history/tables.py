"""The tables of the read model, and the version of their shape.

Times are milliseconds since 1970; payloads are JSON text as it came. Columns that strangers fill and that are
searched are indexed by their first characters, because a database bounds the size of an index entry.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    literal_column,
)

#: Counts up with every change of the tables; `database.prepare` says what happens to other versions.
SCHEMA_VERSION = 1
INDEXED_CHARACTERS = 128
RUNNING = "Running"

metadata = MetaData()


def indexed(column: str) -> ColumnElement[str]:
    """The part of a text column that its index holds; equal in index and query, or the index is not used."""
    return literal_column(f"substr({column}, 1, {INDEXED_CHARACTERS})", String)


def is_text(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Equality that uses the column's index.

    In two parts, because SQLite would put a plain `column = text` into the index's expression and then not know it.
    """
    rest = literal_column(f"substr({column}, {INDEXED_CHARACTERS + 1})", String)
    return and_(indexed(str(column)) == text[:INDEXED_CHARACTERS], rest == text[INDEXED_CHARACTERS:])


#: One row: the version of the tables, and a name for this database, drawn when it was made.
model = Table(
    "penstock_model",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("database_id", String(26), nullable=False),
)

#: How far each partition has been read: the offset that comes next. Written with the rows, in one transaction.
offsets = Table(
    "penstock_offsets",
    metadata,
    Column("cluster", String(64), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("internal_id", String(26), primary_key=True),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("v", Text),
    Column("source", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Index("events_by_name", indexed("name"), "internal_id"),
    Index("events_by_id", indexed("id"), "internal_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(26), primary_key=True),
    Column("function", Text, nullable=False, server_default=""),
    Column("function_version", Integer, nullable=False, server_default="0"),
    Column("status", String(16), nullable=False, server_default=RUNNING),
    Column("received_at", BigInteger, nullable=False, server_default="0"),
    Column("started_at", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", BigInteger),
    Column("output", Text),
    Column("max_attempts", Integer, nullable=False, server_default="0"),
    Index("runs_by_status", "status", "run_id"),
    Index("runs_by_function", indexed("function"), "run_id"),
)

#: Which events a run was started with; `position` is 0 for the first of a batch.
run_events = Table(
    "run_events",
    metadata,
    Column("event_internal_id", Text, primary_key=True),
    Column("run_id", String(26), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("run_events_by_run", "run_id"),
    sqlite_with_rowid=False,
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", String(26), primary_key=True),
    Column("step_id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("op", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)

#: Work that a run still has to do; a row goes when its work is done.
jobs = Table(
    "jobs",
    metadata,
    Column("run_id", String(26), primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("step_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("scheduled_at", BigInteger, nullable=False),
    Column("last_error", Text),
    sqlite_with_rowid=False,
)
