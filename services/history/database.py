"""Opening the read model's database: SQLite (a file of one machine) or PostgreSQL (shared by several processes)."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from ..errors import InvalidSettings, Unavailable
from ..exhaustion import explained
from ..messages.ids import ulid
from .migrations import alter, can_alter, fill
from .tables import SCHEMA_VERSION, metadata, model
from .upsert import insert_for
from .users import UserNames

log = logging.getLogger(__name__)

_LOCK = 7_303_014  # of PostgreSQL's advisory locks: any number, the same in every process
_CACHE_KIB = 8 * 1024
_BUSY_MS = 5_000
#: A page that changes often is then copied into the database file once in a while, not for every thousand others.
_CHECKPOINT_PAGES = 4_000


def writer_engine(database_url: str) -> Engine:
    """An engine for the consumer: one connection, made anew when it is lost."""
    url = _parsed(database_url)
    if _is_sqlite(url):
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_size=1, max_overflow=1, hide_parameters=True)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    return _server_engine(url, pool_size=1, max_overflow=1)


def reader_engine(database_url: str) -> Engine:
    """An engine for the APIs that cannot write; a database that does not exist yet is an error of the query."""
    url = _parsed(database_url)
    if not _is_sqlite(url):
        return _server_engine(url, pool_size=4, max_overflow=0).execution_options(postgresql_readonly=True)
    # Opened by URI, so that a missing file is not made: an empty database would hide that history has not started.
    uri = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "rw", "uri": "true"})
    engine = create_engine(uri, pool_size=4, max_overflow=0, pool_timeout=10, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite_reader)
    return engine


def prepare(engine: Engine, users: UserNames | None = None) -> str:
    """Make the tables where they are absent, bring those of an earlier release up to date; the database's id.

    All of it or nothing, and safe with several processes at once: killed, it leaves the database as it was. Raises
    `InvalidSettings` for tables of a later release than ours, and `Unavailable` when the database does not answer.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            else:
                # The driver begins no transaction by itself before a change of the tables.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            return _brought_up_to_date(connection, users or UserNames())
    except DBAPIError as error:
        raise Unavailable(f"the history database does not answer: {trouble(error)}") from error


def trouble(error: DBAPIError) -> str:
    """What the database says is wrong, and what to do when that is a full disk."""
    return explained(str(error.orig), "the history database")


def _brought_up_to_date(connection: Connection, users: UserNames) -> str:
    """See `prepare`; called with the database locked."""
    connection.execute(CreateTable(model, if_not_exists=True))
    found = connection.execute(select(model.c.schema_version)).scalar_one_or_none()
    if found is not None and found != SCHEMA_VERSION:
        _alter(connection, found)
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    if found is None:
        database_id = ulid(int(time.time() * 1000), os.urandom(10))
        row = {"id": 1, "schema_version": SCHEMA_VERSION, "database_id": database_id}
        connection.execute(insert_for(connection.dialect, model).values(row))
    elif found != SCHEMA_VERSION:
        fill(connection, found, users)
        connection.execute(update(model).values(schema_version=SCHEMA_VERSION))
        log.info("the history database is of version %s now; it was of version %s", SCHEMA_VERSION, found)
    return str(connection.execute(select(model.c.database_id)).scalar_one())


def _alter(connection: Connection, found: int) -> None:
    if not can_alter(found):
        raise InvalidSettings(
            f"the history database has version {found}, this release writes version {SCHEMA_VERSION}: run the release "
            "that wrote it, name another PENSTOCK_HISTORY_DATABASE_URL, or drop its tables to have them filled again "
            "from what the topics retain"
        )
    for version in range(found, SCHEMA_VERSION):
        alter(connection, version)


def _parsed(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise InvalidSettings(
            "PENSTOCK_HISTORY_DATABASE_URL is not a database URL: write sqlite:///file or postgresql://…"
        ) from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidSettings(f"PENSTOCK_HISTORY_DATABASE_URL names {url.drivername}: SQLite and PostgreSQL are known")
    if _is_sqlite(url) and url.database in (None, "", ":memory:"):
        raise InvalidSettings("PENSTOCK_HISTORY_DATABASE_URL must name a file: the APIs read it from other processes")
    return url


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _server_engine(url: URL, pool_size: int, max_overflow: int) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_pre_ping=True,
            pool_timeout=10,
            # What users sent stays out of errors, and thereby out of logs.
            hide_parameters=True,
            connect_args={"connect_timeout": 5},
        )
    except ModuleNotFoundError as error:
        raise InvalidSettings(
            f"{url.drivername} needs the Python package {error.name}: install penstock[postgres]"
        ) from error


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # synchronous=NORMAL may lose the last transactions with the machine, but with them their offsets: they are
    # read again from Kafka.
    sizes = (f"cache_size=-{_CACHE_KIB}", f"wal_autocheckpoint={_CHECKPOINT_PAGES}")
    _pragmas(connection, "journal_mode=WAL", "synchronous=NORMAL", *sizes)


def _set_up_sqlite_reader(connection: DBAPIConnection, _record: object) -> None:
    _pragmas(connection, "query_only=ON", f"cache_size=-{_CACHE_KIB // 2}")


def _pragmas(connection: DBAPIConnection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_MS}", *pragmas):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
