"""The read model's tables, its fence, and what it answers, on SQLite and on PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text, update

from penstock.errors import Fenced, InvalidSettings, Unavailable
from penstock.history.database import prepare, reader_engine, writer_engine
from penstock.history.event_list import EventFilter, EventList
from penstock.history.paging import PageRequest
from penstock.history.read import HistoryReadModel
from penstock.history.reading import Reader
from penstock.history.rows import END_NOT_SEEN, Row, RowFolder, Rows
from penstock.history.run_detail import RunDetail
from penstock.history.run_list import RunFilter, RunList
from penstock.history.statistics import Statistics
from penstock.history.tables import events, jobs, metadata, model, runs
from penstock.history.wait_list import WaitFilter, WaitList
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import RunId
from penstock.messages.incoming import IncomingEvents

from .postgres import running_postgres

PLACE = ("events", 0)
NOW = 1_700_000_000_000


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a folder 100%' / 'history.sqlite3'}"
    found: str = request.getfixturevalue("postgres_url")
    engine = writer_engine(found)
    metadata.drop_all(engine)
    engine.dispose()
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = writer_engine(url)
    prepare(made)
    yield made
    made.dispose()


@pytest.fixture
def reader(url: str, engine: Engine) -> Iterator[HistoryReadModel]:
    made = reader_engine(url)
    yield HistoryReadModel(made)
    made.dispose()


def ulid_like(number: int) -> str:
    return f"01HF7YAT00{number:016d}"


def event_row(number: int, **other: str | int | None) -> Row:
    row: Row = {
        "internal_id": ulid_like(number),
        "id": f"id-{number}",
        "name": "shop/paid",
        "ts": NOW,
        "received_at": NOW + number,
        "user": "{}",
        "data": "{}",
        "v": None,
        "source": "http",
        "topic": "events",
        "partition": 0,
        "offset": number,
    }
    return row | other


def rows_of(*event_rows: Row) -> Rows:
    rows = Rows()
    rows.events = {str(row["internal_id"]): row for row in event_rows}
    return rows


def a_run(number: int, ended: bool, started: bool = True) -> Rows:
    rows, run = Rows(), ulid_like(number)
    if started:
        rows.started[run] = {
            "run_id": run,
            "function": "app/f",
            "function_version": 1,
            "received_at": NOW,
            "started_at": NOW,
            "max_attempts": 5,
            "parent_run": "",
            "parent_job": "",
            "correlation_id": "",
            "cron": "",
            "rerun_of": "",
            "replay": "",
            "event_count": 1,
        }
        rows.run_events[(ulid_like(1), run)] = {"event_internal_id": ulid_like(1), "run_id": run, "position": 0}
    if ended:
        rows.ended[run] = {"run_id": run, "status": "Completed", "output": "1", "ended_at": NOW + 5}
    return rows


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def test_tables_are_made_once(url: str, engine: Engine) -> None:
    """A second start finds them, and the database keeps its name."""
    assert prepare(engine) == prepare(engine)
    another = writer_engine(url)
    assert prepare(another) == prepare(engine)
    another.dispose()


def test_tables_of_another_version_are_left_alone(engine: Engine) -> None:
    """The error names both versions and the ways out."""
    with engine.begin() as connection:
        connection.execute(update(model).values(schema_version=99))
    with pytest.raises(InvalidSettings, match=r"has version 99, this release writes version 2: run the release"):
        prepare(engine)


def test_offsets_and_rows_come_together(engine: Engine) -> None:
    """What was written is where the next process goes on; other clusters' offsets mean nothing."""
    writer = HistoryWriter(engine, "cluster")
    assert writer.positions() == {}
    writer.write(rows_of(event_row(1)), [Move(PLACE, None, 8), Move(("events", 1), None, 3)])
    writer.write(rows_of(event_row(2)), [Move(PLACE, 8, 9)])
    assert HistoryWriter(engine, "cluster").positions() == {PLACE: 9, ("events", 1): 3}
    assert HistoryWriter(engine, "other").positions() == {}
    assert count(engine) == 2


@pytest.mark.parametrize("expected", [None, 7, 9])
def test_who_was_overtaken_writes_nothing(engine: Engine, expected: int | None) -> None:
    """A process that believes to be elsewhere is stopped before its first row."""
    writer = HistoryWriter(engine, "cluster")
    writer.write(rows_of(event_row(1)), [Move(PLACE, None, 8)])
    with pytest.raises(Fenced, match="another process"):
        writer.write(rows_of(event_row(2)), [Move(("events", 1), None, 1), Move(PLACE, expected, 10)])
    assert writer.positions() == {PLACE: 8}
    assert count(engine) == 1


def test_records_that_come_again_change_nothing(engine: Engine, reader: HistoryReadModel) -> None:
    """A topic read from the start, after its offsets were lost, leaves a run's end in place."""
    writer = HistoryWriter(engine, "cluster")
    writer.write(a_run(5, ended=True), [Move(PLACE, None, 1)])
    before = reader.runs.one(ulid_like(5))
    writer.write(a_run(5, ended=False), [Move(PLACE, 1, 2)])
    writer.write(a_run(5, ended=True, started=False), [Move(PLACE, 2, 3)])
    assert reader.runs.one(ulid_like(5)) == before
    assert before is not None
    assert (before.status, before.output) == ("Completed", "1")


def purged(number: int) -> Rows:
    """What the tombstone of a run's end says."""
    rows = Rows()
    RowFolder(Codec(), IncomingEvents(Codec())).add_state(rows, keys.end_key(RunId(ulid_like(number))), None, NOW + 99)
    return rows


def test_a_run_whose_end_was_purged_unseen_has_ended(engine: Engine, reader: HistoryReadModel) -> None:
    """Its jobs go, retention finds it, and the end counts should it be read after all."""
    writer = HistoryWriter(engine, "cluster")
    begun = a_run(5, ended=False)
    job: Row = {"run_id": ulid_like(5), "job_id": "j", "kind": "call", "step_id": "s", "name": "", "attempt": 0}
    begun.jobs[(ulid_like(5), "j")] = job | {"due_at": NOW, "scheduled_at": NOW, "last_error": None, "detail": None}
    writer.write(begun, [Move(PLACE, None, 1)])
    for offset in (1, 2):
        writer.write(purged(5), [Move(PLACE, offset, offset + 1)])
    found = reader.runs.one(ulid_like(5))
    assert found is not None
    assert (found.status, found.output, found.ended_at) == ("Unknown", END_NOT_SEEN, NOW + 99)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(jobs)).scalar_one() == 0
    writer.write(a_run(5, ended=True, started=False), [Move(PLACE, 3, 4)])
    assert (found := reader.runs.one(ulid_like(5))) is not None
    assert (found.status, found.ended_at) == ("Completed", NOW + 5)


def test_an_end_that_was_seen_outlives_the_purge(engine: Engine, reader: HistoryReadModel) -> None:
    """In the same batch and in a later one; a run that history never knew does not appear."""
    writer = HistoryWriter(engine, "cluster")
    whole = a_run(5, ended=True)
    whole.purged = purged(5).purged | purged(6).purged
    writer.write(whole, [Move(PLACE, None, 1)])
    writer.write(purged(5), [Move(PLACE, 1, 2)])
    found = reader.runs.one(ulid_like(5))
    assert found is not None
    assert (found.status, found.output) == ("Completed", "1")
    assert reader.runs.one(ulid_like(6)) is None


def test_a_row_that_the_database_refuses_is_left_out(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """One bad row does not hold up the batch: it is logged, the rest is written."""
    writer = HistoryWriter(engine, "cluster")
    with caplog.at_level(logging.ERROR):
        writer.write(rows_of(event_row(1), event_row(2, name=None), event_row(3)), [Move(PLACE, None, 3)])
    assert count(engine) == 2
    assert "refuses a row" in caplog.text
    assert writer.positions() == {PLACE: 3}


def test_long_names_and_ids_fit(engine: Engine, reader: HistoryReadModel) -> None:
    """The longest name that an event may have is stored and found, also beside one that begins alike."""
    name, other = "😀" * 1024, "😀" * 1023 + "x"
    batch = rows_of(event_row(1, name=name, id=name), event_row(2, name=other, id=other))
    HistoryWriter(engine, "cluster").write(batch, [Move(PLACE, None, 3)])
    assert [row.internal_id for row in reader.events.page(EventFilter(names=(name,))).rows] == [ulid_like(1)]
    found = reader.events.one(other)
    assert found is not None
    assert found.internal_id == ulid_like(2)


def test_readers_cannot_write(url: str, engine: Engine) -> None:
    """The API's connections refuse it, whatever a query says."""
    reading = reader_engine(url)
    with pytest.raises(Exception, match=r"readonly|read-only"), reading.begin() as connection:
        connection.execute(runs.delete())
    reading.dispose()


def test_lists_use_their_indexes(engine: Engine) -> None:
    """Pages of ten million events cost as little as pages of ten: no query reads a whole table, or sorts one."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans small tables without their indexes")
    plans: list[str] = []

    class Explained(Reader):
        def all(self, query):  # type: ignore[no-untyped-def]
            with engine.connect() as connection:
                compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
                plans.extend(row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}")))
            return []

    reader, run, cursor = Explained(engine), ulid_like(7), PageRequest(20, ulid_like(1))
    runs, details, events = RunList(reader), RunDetail(reader), EventList(reader)
    for page in (PageRequest(20), cursor):
        runs.page(RunFilter(), page)
        runs.page(RunFilter(statuses=("Failed", "Running")), page)
        runs.page(RunFilter(functions=("app/f",)), page)
        runs.page(RunFilter(statuses=("Failed",), functions=("app/f",)), page)
        runs.page(RunFilter(user="42", statuses=("Failed",)), page)
        runs.page(RunFilter(replay="r"), page)
        events.page(EventFilter(), page)
        events.page(EventFilter(names=("a", "b"), since=1), page)
        events.page(EventFilter(user="42"), page)
    runs.page(RunFilter(), PageRequest(20, f"5.{ulid_like(1)}"), "started")
    runs.page(RunFilter(time_field="ended", since=1, until=5), PageRequest(20), "ended")
    runs.count(RunFilter(statuses=("Failed",), functions=("app/f",)))
    for ask in (details.one, details.steps, details.attempts, details.jobs, details.events, details.children):
        ask(run)
    details.reruns(run)
    events.one("x")
    events.runs_started("x")
    events.runs_resumed("x")
    WaitList(reader).page(WaitFilter(kinds=("wait",)), PageRequest(20))
    WaitList(reader).counts()
    Statistics(reader).of_function("app/f", 0, 10, 2)
    tables = {table.name for table in metadata.sorted_tables}
    whole = [plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] in tables]
    # In the order of an index, which ends at its limit.
    assert {plan.partition("USING ")[2] for plan in whole} <= {
        "COVERING INDEX sqlite_autoindex_runs_1",
        "COVERING INDEX sqlite_autoindex_events_1",
        "INDEX runs_by_start",
        "COVERING INDEX runs_by_start",
    }
    used = {name for plan in plans for name in plan.split() if "_by_" in name}
    every = {str(index.name) for table in metadata.sorted_tables for index in table.indexes}
    # What is deleted is found by the others.
    assert every - used == {"event_users_by_event", "run_users_by_run"}


def test_a_database_that_is_not_there_yet_is_unavailable(tmp_path: Path) -> None:
    """Asking makes no empty file, which would look like a history without events."""
    url = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    with pytest.raises(Unavailable, match="is `penstock history` running"):
        HistoryReadModel(reader_engine(url)).runs.one("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://x/y", "names mysql: SQLite and PostgreSQL are known"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_unusable_urls_are_refused(url: str, message: str) -> None:
    """At the start, with what is allowed."""
    with pytest.raises(InvalidSettings, match=message):
        writer_engine(url)


def test_a_server_that_is_away_is_unavailable() -> None:
    """Bounded, and retryable."""
    engine = writer_engine("postgresql://penstock@127.0.0.1:9/none")
    with pytest.raises(Unavailable, match="does not answer"):
        prepare(engine)
    with pytest.raises(Unavailable):
        HistoryWriter(engine, "c").positions()
    with pytest.raises(Unavailable):
        HistoryWriter(engine, "c").write(Rows(), [Move(PLACE, None, 1)])
