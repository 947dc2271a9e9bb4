"""The tables of the read model, and the version of their shape.

Times are milliseconds since 1970; payloads are JSON text as it came. Columns that strangers fill and that are
searched are indexed by their first characters, because a database bounds the size of an index entry. What changed from
release to release is in `migrations.py`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    literal_column,
)

#: Counts up with every change of the tables; `migrations.py` leads from one to the next.
SCHEMA_VERSION = 2
INDEXED_CHARACTERS = 128
RUNNING = "Running"

metadata = MetaData()


def indexed(column: str) -> ColumnElement[str]:
    """The part of a text column that its index holds; equal in index and query, or the index is not used."""
    return literal_column(f"substr({column}, 1, {INDEXED_CHARACTERS})", String)


def _few(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that have something to be found by."""
    condition = literal_column(where, Boolean)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


def is_text(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Equality that uses the column's index.

    In two parts, because SQLite would put a plain `column = text` into the index's expression and then not know it;
    a text that the index holds whole needs no second part, which would cost a look at the row.
    """
    if len(text) < INDEXED_CHARACTERS:
        return indexed(str(column)) == text
    rest = literal_column(f"substr({column}, {INDEXED_CHARACTERS + 1})", String)
    return and_(indexed(str(column)) == text[:INDEXED_CHARACTERS], rest == text[INDEXED_CHARACTERS:])


#: One row: the version of the tables, and a name for this database, drawn when it was made.
model = Table(
    "penstock_model",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("database_id", String(26), nullable=False),
    # How many batches were written: the sequence of `changes`.
    Column("changes", BigInteger, nullable=False, server_default="0"),
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
    Column("parent_run", Text, nullable=False, server_default=""),
    Column("parent_job", Text, nullable=False, server_default=""),
    Column("correlation_id", Text, nullable=False, server_default=""),
    Column("cron", Text, nullable=False, server_default=""),
    Column("rerun_of", Text, nullable=False, server_default=""),
    Column("replay", Text, nullable=False, server_default=""),
    Column("event_count", Integer, nullable=False, server_default="1"),
    Index("runs_by_status", "status", "run_id"),
    # Also serves every status of a function: there are few statuses, and each is a range of its own.
    Index("runs_by_function", indexed("function"), "status", "run_id"),
    Index("runs_by_start", "started_at", "run_id"),
    _few("runs_by_end", "ended_at", "run_id", where="ended_at IS NOT NULL"),
    _few("runs_by_parent", "parent_run", "run_id", where="parent_run <> ''"),
    _few("runs_by_original", "rerun_of", "run_id", where="rerun_of <> ''"),
    _few("runs_by_replay", "replay", "run_id", where="replay <> ''"),
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
    Column("detail", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    _few("steps_by_source", "source", "run_id", where="source <> ''"),
)

#: Attempts that failed and were followed by another; the last of a step is in the step itself, or ended the run.
attempts = Table(
    "attempts",
    metadata,
    Column("run_id", String(26), primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("step_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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
    Column("detail", Text, nullable=False, server_default=""),
    Index("jobs_by_kind", "kind", "due_at", "run_id", "job_id"),
    sqlite_with_rowid=False,
)

#: Whom an event concerns: every name that it gives for its user (`users.py`), with the event.
event_users = Table(
    "event_users",
    metadata,
    Column("user_name", Text, primary_key=True),
    Column("internal_id", String(26), primary_key=True),
    Index("event_users_by_event", "internal_id"),
    sqlite_with_rowid=False,
)

#: Whom a run concerns: the users of the events that started it.
run_users = Table(
    "run_users",
    metadata,
    Column("user_name", Text, primary_key=True),
    Column("run_id", String(26), primary_key=True),
    Index("run_users_by_run", "run_id"),
    sqlite_with_rowid=False,
)

#: Functions as they are registered now.
functions = Table(
    "functions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("app", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("archived", Boolean, nullable=False),
)

function_versions = Table(
    "function_versions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("config", Text, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
)

apps = Table(
    "apps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("synced_at", BigInteger, nullable=False),
    Column("sdk", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("error", Text),
)

#: Records that could not be used, by an id made of where they lay; `headers` is JSON of base64 texts.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

#: What each batch changed, for open pages to follow; a ring of the latest. Numbered in the order of writing.
changes = Table(
    "changes",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at", BigInteger, nullable=False),
    Column("ids", Text, nullable=False),
)
