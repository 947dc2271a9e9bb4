"""The SQL that the tables become."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from penstock.history import tables
from penstock.history.upsert import insert_new, upsert

DIALECTS: list[Dialect] = [sqlite.dialect(), postgresql.dialect()]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_table_and_index_can_be_written_down(dialect: Dialect) -> None:
    """For both databases; no column counts up by itself."""
    for table in tables.metadata.sorted_tables:
        assert "SERIAL" not in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert "INDEX" in str(CreateIndex(index).compile(dialect=dialect))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_upsert_touches_only_its_columns(dialect: Dialect) -> None:
    """A run's start leaves its status alone."""
    text = str(upsert(dialect, tables.runs, ("run_id", "function")).compile(dialect=dialect))
    changed = text.partition("DO UPDATE SET")[2]
    assert "function" in changed
    assert "status" not in changed
    assert "run_id" not in changed


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_insert_of_what_is_new_leaves_the_rest(dialect: Dialect) -> None:
    """A row that is there stays as it is."""
    assert str(insert_new(dialect, tables.steps).compile(dialect=dialect)).endswith("DO NOTHING")
