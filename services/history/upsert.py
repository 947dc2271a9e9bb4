"""`INSERT … ON CONFLICT`, which SQLite and PostgreSQL both have, under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Table
from sqlalchemy.engine import Dialect

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def insert_for(dialect: Dialect, table: Table) -> Insert:
    """An insert that knows conflicts, in the database's own dialect."""
    # Imported here, so that a process carries only its own dialect.
    if dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def insert_new(dialect: Dialect, table: Table) -> Insert:
    """Insert rows; those that are there stay as they are."""
    return insert_for(dialect, table).on_conflict_do_nothing()


def upsert(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> Insert:
    """Insert rows of exactly these columns; of rows that are there, these columns are replaced and no others."""
    keys = [column.name for column in table.primary_key]
    insert = insert_for(dialect, table)
    replaced = {name: insert.excluded[name] for name in columns if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=replaced)
