"""Where contacts end up: a table in SQLite. Saving the same contact twice leaves one, as steps may run twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from .rows import Contact


class AddressBook(Protocol):
    def save(self, contacts: Iterable[Contact]) -> None:
        """Add them, or replace those with the same address: all of them or none."""


class SqliteAddressBook:
    """One file; opened for each batch, so that any number of workers may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, contacts: Iterable[Contact]) -> None:
        with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS contacts (email TEXT PRIMARY KEY, name TEXT NOT NULL)")
            database.executemany(
                "INSERT INTO contacts (email, name) VALUES (:email, :name) "
                "ON CONFLICT (email) DO UPDATE SET name = excluded.name",
                list(contacts),
            )

    def count(self) -> int:
        with closing(sqlite3.connect(self._path)) as database:
            (number,) = database.execute("SELECT count(*) FROM contacts").fetchone()
            return int(number)
