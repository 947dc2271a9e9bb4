"""From one version of the tables to the next: a database that an earlier release wrote is brought up to date in place.

Rebuilding from the topics would lose what they retain no longer. A step is SQL that both databases understand, and
what rows of earlier releases need; tables and indexes that are merely new are made by `database.prepare` afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Table, insert, select

from .tables import event_users, events, run_events, run_users
from .users import UserNames

_PORTION = 1000

#: Version 2: waits, attempts, origins of runs, users, functions, dead letters.
_VERSION_2 = (
    *(
        f"ALTER TABLE runs ADD COLUMN {column} TEXT DEFAULT '' NOT NULL"
        for column in ("parent_run", "parent_job", "correlation_id", "cron", "rerun_of", "replay")
    ),
    "ALTER TABLE runs ADD COLUMN event_count INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE steps ADD COLUMN detail TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE steps ADD COLUMN source TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE jobs ADD COLUMN detail TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE penstock_model ADD COLUMN changes BIGINT DEFAULT 0 NOT NULL",
    "DROP INDEX runs_by_function",
    "UPDATE runs SET event_count = (SELECT count(*) FROM run_events WHERE run_events.run_id = runs.run_id)"
    " WHERE run_id IN (SELECT run_id FROM run_events WHERE position = 1)",
)


def alter(connection: Connection, version: int) -> None:
    """Bring tables of `version` into the shape of the next."""
    for statement in _STATEMENTS[version]:
        connection.exec_driver_sql(statement)


def fill(connection: Connection, version: int, users: UserNames) -> None:
    """Fill what is new in the tables from what was there; after `alter`, with all tables made."""
    for first, filling in _FILLINGS.items():
        if version < first:
            filling(connection, users)


def can_alter(version: int) -> bool:
    """True when this release knows how to bring tables of `version` up to date."""
    return version in _STATEMENTS


def _users_of_events(connection: Connection, users: UserNames) -> None:
    """Events of earlier releases are found by user too, and the runs that they started."""
    after = ""
    while True:
        page = select(events.c.internal_id, events.c.user, events.c.data)
        page = page.where(events.c.internal_id > after).order_by(events.c.internal_id).limit(_PORTION)
        if not (found := connection.execute(page).all()):
            break
        after = found[-1].internal_id
        named = {row.internal_id: users.of_payloads(row.user, row.data) for row in found}
        _insert(connection, event_users, [(name, event) for event, names in named.items() for name in names])
    started = select(event_users.c.user_name, run_events.c.run_id).distinct()
    started = started.join(run_events, run_events.c.event_internal_id == event_users.c.internal_id)
    connection.execute(insert(run_users).from_select(["user_name", "run_id"], started))


def _insert(connection: Connection, table: Table, places: list[tuple[str, str]]) -> None:
    columns = [column.name for column in table.columns]
    if places:
        connection.execute(insert(table), [dict(zip(columns, place, strict=True)) for place in places])


_STATEMENTS: Mapping[int, tuple[str, ...]] = {1: _VERSION_2}
_FILLINGS: Mapping[int, Callable[[Connection, UserNames], None]] = {2: _users_of_events}
