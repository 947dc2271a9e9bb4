"""A database that an earlier release wrote, brought up to date in place, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, inspect, text

from penstock.errors import InvalidSettings
from penstock.history import database
from penstock.history.database import prepare, reader_engine, writer_engine
from penstock.history.event_list import EventFilter
from penstock.history.read import HistoryReadModel
from penstock.history.run_list import RunFilter
from penstock.history.tables import SCHEMA_VERSION, metadata
from penstock.history.users import UserNames

from .postgres import running_postgres

VERSION_1 = Path(__file__).with_name("history_v1.sql").read_text("utf-8")
EVENT, OTHER, RUN = ("01HF7YAT00000000000000000" + letter for letter in "ABR")
ROWS = (
    "INSERT INTO penstock_model VALUES (1, 1, '01HF7YAT0000000000000000DB')",
    "INSERT INTO penstock_offsets VALUES ('cluster', 'penstock.events', 0, 17)",
    f"INSERT INTO events VALUES ('{EVENT}', 'order-1', 'shop/paid', 5, 5, '{{\"id\":42}}', '{{\"org\":\"acme\"}}',"
    " NULL, 'http', 'penstock.events', 0, 15)",
    f"INSERT INTO events VALUES ('{OTHER}', '', 'shop/paid', 6, 6, '{{}}', '{{}}', NULL, 'http',"
    " 'penstock.events', 0, 16)",
    "INSERT INTO runs (run_id, function, function_version, status, received_at, started_at, ended_at, output,"
    f" max_attempts) VALUES ('{RUN}', 'shop/pay', 3, 'Completed', 5, 6, 9, '1', 5)",
    f"INSERT INTO run_events VALUES ('{EVENT}', '{RUN}', 0), ('{OTHER}', '{RUN}', 1)",
    f"INSERT INTO steps VALUES ('{RUN}', 'ab', 0, 'StepRun', 'charge', '{{\"data\":1}}', false, 0, 6, 7)",
    f"INSERT INTO jobs VALUES ('{RUN}', 'sleep/x', 'sleep', 'x', 'nap', 0, 99, 6, NULL)",
)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'history.sqlite3'}"
    found: str = request.getfixturevalue("postgres_url")
    engine = writer_engine(found)
    known = MetaData()
    known.reflect(engine)
    known.drop_all(engine)
    engine.dispose()
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The database as the earlier release left it."""
    made = writer_engine(url)
    write_version_1(made)
    yield made
    made.dispose()


def write_version_1(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in VERSION_1.split(";"):
            if statement.strip():
                clustered = engine.dialect.name == "sqlite" and "TABLE jobs" in statement
                connection.execute(text(statement + (" WITHOUT ROWID" if clustered else "")))
        for row in ROWS:
            connection.exec_driver_sql(row)


def shape(engine: Engine) -> dict[str, object]:
    """Tables with their columns, and indexes."""
    found, names = inspect(engine), [table.name for table in metadata.sorted_tables]
    return {
        name: (
            sorted((column["name"], column["nullable"]) for column in found.get_columns(name)),
            sorted(found.get_pk_constraint(name)["constrained_columns"]),
        )
        for name in names
    } | {"indexes": sorted(index_names(engine))}


def index_names(engine: Engine) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    if engine.dialect.name == "postgresql":
        query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND right(indexname, 5) <> '_pkey'"
    with engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql(query)]


def test_an_upgraded_database_has_the_shape_of_a_new_one(engine: Engine, tmp_path: Path) -> None:
    """Every table, column and index; a second start finds nothing left to do."""
    database_id = prepare(engine)
    assert database_id == "01HF7YAT0000000000000000DB"
    upgraded = shape(engine)
    if engine.dialect.name == "sqlite":
        new = writer_engine(f"sqlite:///{tmp_path / 'new.sqlite3'}")
        prepare(new)
        assert upgraded == shape(new)
        new.dispose()
    wanted = sorted(str(index.name) for table in metadata.sorted_tables for index in table.indexes)
    assert upgraded["indexes"] == wanted
    assert prepare(engine) == database_id
    assert shape(engine) == upgraded


def test_what_was_there_is_still_there(engine: Engine, url: str) -> None:
    """Runs, events, steps and the offsets from which reading goes on."""
    prepare(engine)
    model = HistoryReadModel(reader_engine(url))
    (run,) = model.runs.page(RunFilter(statuses=("Completed",), functions=("shop/pay",))).rows
    assert (run.run_id, run.event_internal_id, run.event_count, run.parent_run) == (RUN, EVENT, 2, "")
    assert [step.name for step in model.runs.steps(RUN)] == ["charge"]
    assert model.runs.one(RUN).output == "1"  # type: ignore[union-attr]
    with engine.connect() as connection:
        offset = connection.exec_driver_sql("SELECT next_offset FROM penstock_offsets").scalar_one()
    assert offset == 17


def test_what_was_there_is_found_by_user(engine: Engine, url: str) -> None:
    """By the names of the event's user, and by the installation's own path."""
    prepare(engine, UserNames.at("data.org"))
    model = HistoryReadModel(reader_engine(url))
    for user in ("42", "acme"):
        assert [event.internal_id for event in model.events.page(EventFilter(user=user)).rows] == [EVENT]
        assert [run.run_id for run in model.runs.page(RunFilter(user=user)).rows] == [RUN]


def test_an_upgrade_that_dies_leaves_everything_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start does all of it."""
    before = index_names(engine)

    class Killed(BaseException):
        pass

    def dies(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(database, "fill", dies)
        with pytest.raises(Killed):
            prepare(engine)
    assert index_names(engine) == before
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT schema_version FROM penstock_model").scalar_one() == 1
    prepare(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT schema_version FROM penstock_model").scalar_one() == SCHEMA_VERSION


def test_a_later_releases_database_is_left_alone(engine: Engine) -> None:
    """The error names both versions and the ways out."""
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE penstock_model SET schema_version = 99")
    with pytest.raises(InvalidSettings, match=f"has version 99, this release writes version {SCHEMA_VERSION}"):
        prepare(engine)
