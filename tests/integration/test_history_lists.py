"""Lists of runs and events by every filter, against a plain search through all of them; and what retention leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from penstock.errors import InvalidInput
from penstock.history.database import prepare, reader_engine, writer_engine
from penstock.history.dead_letter_list import DeadLetterFilter
from penstock.history.event_list import EventFilter
from penstock.history.paging import PageRequest
from penstock.history.read import HistoryReadModel
from penstock.history.retention import Ages, Retention
from penstock.history.rows import RowFolder, Rows
from penstock.history.run_list import RunFilter, TimeField
from penstock.history.tables import metadata
from penstock.history.users import UserNames
from penstock.history.wait_list import WaitFilter
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import DISCOVERY, FunctionKey, JobId, RunId, StepId, record_event_id, run_id, ulid
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import (
    App,
    DeadLetter,
    Event,
    Function,
    JobScheduled,
    Record,
    RunEnded,
    RunStarted,
    StepFinished,
)

from .postgres import running_postgres

NOW = 1_780_000_000_000
HOUR = 3_600_000
COUNT = 90
CODEC = Codec()
FUNCTIONS = ("shop/pay", "shop/ship", "mail/" + "long" * 50, "mail/" + "long" * 50 + "er")


@dataclass(frozen=True)
class Made:
    """A run as the test knows it."""

    number: int

    @property
    def at(self) -> int:
        return NOW + self.number * 60_000

    @property
    def function(self) -> FunctionKey:
        return FunctionKey(FUNCTIONS[self.number % len(FUNCTIONS)])

    @property
    def id(self) -> RunId:
        return run_id(self.function, str(self.number), self.at)

    @property
    def event_id(self) -> str:
        return ulid(self.at, self.number.to_bytes(10, "big"))

    @property
    def status(self) -> str:
        return "Running" if self.number % 6 == 0 else ("Completed", "Failed", "Cancelled")[self.number % 3]

    @property
    def started_at(self) -> int:
        return self.at + (self.number * 7919 % 97) * 1000

    @property
    def ended_at(self) -> int:
        return self.started_at + (self.number * 31 % 53) * 10_000

    @property
    def user(self) -> str:
        return f"u-{self.number % 4}"

    @property
    def total(self) -> int:
        return self.number * 3

    def event(self) -> Event:
        data = f'{{"amount":{self.number},"note":"100% of Order_{self.number}"}}'
        return Event(
            f"shop/e{self.number % 2}", data, f"o-{self.number}", self.at, self.user_json, None, self.event_id, self.at
        )

    @property
    def user_json(self) -> str:
        return f'{{"id":"{self.user}"}}'

    def state(self) -> Iterator[tuple[bytes, Record]]:
        text = f'{{"name":"shop/e{self.number % 2}","data":{{}},"user":{self.user_json}}}'
        started = RunStarted(self.id, self.function, 1, (text,), (self.event_id,), 5, self.at, self.started_at)
        yield keys.run_key(self.id), replace(started, replay="again" if self.number % 9 == 0 else "")
        if self.status == "Running":
            wait = JobScheduled(self.id, JobId("wait/x"), "wait", StepId("x"), self.at + HOUR, self.at, "review")
            yield keys.job_key(self.id, wait.job_id), replace(wait, detail='{"event":"shop/reviewed"}')
        else:
            output = f'{{"total":{self.total}}}'
            yield keys.end_key(self.id), RunEnded(self.id, self.status, output, self.ended_at, NOW)  # type: ignore[arg-type]


EVERY = [Made(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all of them; tests that delete make their own."""
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path_factory.mktemp('history') / 'history.sqlite3'}"
    else:
        found = request.getfixturevalue("postgres_url")
    engine = writer_engine(found)
    metadata.drop_all(engine)
    fill(engine)
    yield found
    engine.dispose()


def fill(engine: Engine, first: int = 0) -> None:
    prepare(engine)
    folder, rows = RowFolder(CODEC, IncomingEvents(CODEC), UserNames()), Rows()
    for made in EVERY[first:]:
        folder.add_event(rows, Arrival("events", 0, made.number, NOW, CODEC.encode(made.event())), internal=True)
        for key, record in made.state():
            folder.add_state(rows, key, CODEC.encode(record))
        finished = Event(
            "inngest/function.finished", "{}", "", made.at, "{}", None, ulid(made.at, b"\xff" * 10), made.at
        )
        folder.add_event(rows, Arrival("internal", 0, made.number, NOW, CODEC.encode(finished)), internal=True)
        letter = DeadLetter("events", 0, made.number, made.at, None, b"\xff", f"no JSON {made.number}", made.at)
        folder.add_dead_letter(rows, CODEC.encode(letter))
    for key in FUNCTIONS:
        app, slug = key.split("/")
        folder.add_function(rows, CODEC.encode(Function(FunctionKey(key), app, slug, slug, 2, "{}", NOW)))
        folder.add_function(rows, CODEC.encode(App(app, "http://127.0.0.1/x", "c", NOW)))
    HistoryWriter(engine, "cluster").write(folder.settle(rows), [Move(("events", 0), None, 1)])


@pytest.fixture
def model(url: str) -> Iterator[HistoryReadModel]:
    engine = reader_engine(url)
    yield HistoryReadModel(engine, budget_seconds=30.0)
    engine.dispose()


def all_pages(model: HistoryReadModel, wanted: RunFilter, order: TimeField, descending: bool = True) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = model.runs.page(wanted, PageRequest(7, cursor, descending), order)
        found += [row.run_id for row in page.rows]
        if not (cursor := page.next_cursor):
            return found


MIDDLE = EVERY[40].at
FILTERS: dict[str, tuple[RunFilter, Callable[[Made], bool]]] = {
    "all": (RunFilter(), lambda run: True),
    "status": (RunFilter(("Failed",)), lambda run: run.status == "Failed"),
    "statuses, one twice": (
        RunFilter(("Failed", "Running", "Failed")),
        lambda run: run.status in ("Failed", "Running"),
    ),
    "function": (RunFilter(functions=("shop/pay",)), lambda run: run.function == "shop/pay"),
    "long function": (RunFilter(functions=(FUNCTIONS[2],)), lambda run: run.function == FUNCTIONS[2]),
    "function and status": (
        RunFilter(("Completed",), ("shop/pay", "shop/ship")),
        lambda run: run.status == "Completed" and run.function.startswith("shop/"),
    ),
    "app": (RunFilter(apps=("mail",)), lambda run: run.function.startswith("mail/")),
    "app and another app's function": (RunFilter(functions=("shop/pay",), apps=("mail",)), lambda run: False),
    "unknown app": (RunFilter(apps=("nobody",)), lambda run: False),
    "queued since": (RunFilter(since=MIDDLE), lambda run: run.at >= MIDDLE),
    "queued between, failed": (
        RunFilter(("Failed",), since=MIDDLE, until=MIDDLE + HOUR // 4),
        lambda run: run.status == "Failed" and MIDDLE <= run.at < MIDDLE + HOUR // 4,
    ),
    "started between": (
        RunFilter(time_field="started", since=MIDDLE, until=MIDDLE + HOUR // 4),
        lambda run: MIDDLE <= run.started_at < MIDDLE + HOUR // 4,
    ),
    "ended until": (
        RunFilter(time_field="ended", until=MIDDLE),
        lambda run: run.status != "Running" and run.ended_at < MIDDLE,
    ),
    "user": (RunFilter(user="u-1"), lambda run: run.user == "u-1"),
    "user and status": (RunFilter(("Failed",), user="u-1"), lambda run: run.user == "u-1" and run.status == "Failed"),
    "unknown user": (RunFilter(user="nobody"), lambda run: False),
    "replay": (RunFilter(replay="again"), lambda run: run.number % 9 == 0),
    "replay, completed": (
        RunFilter(("Completed",), replay="again"),
        lambda run: run.number % 9 == 0 and run.status == "Completed",
    ),
    "text of an event": (RunFilter(text="order_1"), lambda run: str(run.number).startswith("1")),
    "text with what LIKE would take for more": (RunFilter(text="0% of o"), lambda run: True),
    "text that only LIKE would find": (RunFilter(text="order%1"), lambda run: False),
    "text of an output": (
        RunFilter(text='"TOTAL":27'),
        lambda run: run.status != "Running" and str(run.total).startswith("27"),
    ),
    "text is a run's id": (RunFilter(text=EVERY[5].id), lambda run: run.number == 5),
    "text is an event's id": (RunFilter(text=EVERY[6].event_id), lambda run: run.number == 6),
    "CEL over the event": (RunFilter(cel="event.data.amount >= 50"), lambda run: run.number >= 50),
    "CEL over the output, in an app": (
        RunFilter(apps=("shop",), cel="output.total > 100 && event.name == 'shop/e1'"),
        lambda run: (
            run.function.startswith("shop/") and run.status != "Running" and run.total > 100 and run.number % 2 == 1
        ),
    ),
    "CEL and user and status": (
        RunFilter(("Completed",), user="u-1", cel="event.data.amount < 50"),
        lambda run: run.status == "Completed" and run.user == "u-1" and run.number < 50,
    ),
}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order", ["queued", "started", "ended"])
@pytest.mark.parametrize("name", FILTERS)
def test_runs_by_every_filter_in_every_order(
    model: HistoryReadModel, name: str, order: TimeField, descending: bool
) -> None:
    """Page by page, what a plain search through all runs finds; nothing twice, nothing left out."""
    wanted, fits = FILTERS[name]
    moments: dict[str, Callable[[Made], int]] = {
        "queued": lambda run: 0,
        "started": lambda run: run.started_at,
        "ended": lambda run: run.ended_at,
    }
    runs = [run for run in EVERY if fits(run) and not (order == "ended" and run.status == "Running")]
    runs.sort(key=lambda run: (moments[order](run), run.id), reverse=descending)
    assert all_pages(model, wanted, order, descending) == [run.id for run in runs]


@pytest.mark.parametrize("name", FILTERS)
def test_runs_are_counted_by_every_filter(model: HistoryReadModel, name: str) -> None:
    """In all, and by status."""
    wanted, fits = FILTERS[name]
    counted = model.runs.count(wanted)
    assert (counted.count, counted.exact) == (sum(map(fits, EVERY)), True)
    if not wanted.statuses:
        by_status = model.runs.count_by_status(wanted)
        assert by_status["Failed"].count == sum(fits(run) and run.status == "Failed" for run in EVERY)
        assert sum(one.count for one in by_status.values()) == counted.count


EVENT_FILTERS: dict[str, tuple[EventFilter, Callable[[Made], bool]]] = {
    "not internal": (EventFilter(internal=False), lambda made: True),
    "name": (EventFilter(names=("shop/e1",)), lambda made: made.number % 2 == 1),
    "names, one twice": (EventFilter(names=("shop/e1", "shop/e0", "shop/e1")), lambda made: True),
    "received between": (
        EventFilter(names=("shop/e1",), since=MIDDLE, until=MIDDLE + HOUR),
        lambda made: made.number % 2 == 1 and MIDDLE <= made.at < MIDDLE + HOUR,
    ),
    "user": (EventFilter(user="u-2"), lambda made: made.user == "u-2"),
    "user and name": (EventFilter(names=("shop/e0",), user="u-1"), lambda made: False),
    "text": (EventFilter(text="ORDER_8"), lambda made: str(made.number).startswith("8")),
    "text is an id": (EventFilter(text=EVERY[5].event_id), lambda made: made.number == 5),
    "CEL": (EventFilter(cel="event.data.amount in [3.0, 4.0]"), lambda made: made.number in (3, 4)),
}


@pytest.mark.parametrize("name", EVENT_FILTERS)
def test_events_by_every_filter(model: HistoryReadModel, name: str) -> None:
    """Newest first, page by page, and counted."""
    wanted, fits = EVENT_FILTERS[name]
    found: list[str] = []
    cursor = ""
    while True:
        page = model.events.page(wanted, PageRequest(7, cursor))
        found += [row.internal_id for row in page.rows]
        if not (cursor := page.next_cursor):
            break
    assert found == [made.event_id for made in reversed(EVERY) if fits(made)]
    assert model.events.count(wanted).count == len(found)


def test_internal_events_are_among_all_of_them(model: HistoryReadModel) -> None:
    """Twice as many, under three names."""
    assert model.events.count(EventFilter()).count == 2 * COUNT
    assert model.events.names() == ["inngest/function.finished", "shop/e0", "shop/e1"]
    assert model.events.names("shop/") == ["shop/e0", "shop/e1"]
    assert model.events.names(limit=1) == ["inngest/function.finished"]


@pytest.mark.parametrize("cursor", ["x", "5.x", "x." + EVERY[0].id, EVERY[0].id])
def test_a_cursor_of_another_order_is_refused(model: HistoryReadModel, cursor: str) -> None:
    """With the order that it must come from."""
    with pytest.raises(InvalidInput, match="order 'started' gave"):
        model.runs.page(RunFilter(), PageRequest(5, cursor), "started")


def test_functions_and_apps(model: HistoryReadModel) -> None:
    """As they are registered, with their versions."""
    assert [row.key for row in model.functions.all(app="shop")] == ["shop/pay", "shop/ship"]
    assert [row.name for row in model.apps.all()] == ["mail", "shop"]
    assert [row.version for row in model.functions.versions("shop/pay")] == [2]


def test_statistics_of_a_function(model: HistoryReadModel) -> None:
    """Counts by status in each bucket, and percentiles of how long its runs took."""
    since, until = EVERY[0].at, EVERY[0].at + COUNT * 60_000
    buckets = model.statistics.of_function("shop/pay", since, until, 3)
    assert [bucket.start for bucket in buckets] == [since, since + 30 * 60_000, since + 60 * 60_000]
    for bucket in buckets:
        own = [r for r in EVERY if r.function == "shop/pay" and bucket.start <= r.at < bucket.start + 30 * 60_000]
        ended = [run for run in own if run.status in ("Completed", "Failed")]
        assert bucket.counts == {s: n for s in {r.status for r in own} if (n := sum(r.status == s for r in own))}
        assert bucket.sampled == len(ended)
        assert bucket.p99 == max(run.ended_at - run.started_at for run in ended)
        assert bucket.wait_p99 == max(run.started_at - run.at for run in ended)
    overview = model.statistics.overview(since, until)
    assert set(overview) == set(FUNCTIONS)
    assert overview["shop/ship"]["Failed"].count == sum(
        run.function == "shop/ship" and run.status == "Failed" for run in EVERY
    )


@pytest.mark.parametrize(("since", "until", "buckets"), [(5, 5, 1), (0, 1, 0), (0, 1, 201)])
def test_statistics_are_bounded(model: HistoryReadModel, since: int, until: int, buckets: int) -> None:
    """A time that ends before it begins, and too many buckets, are refused."""
    with pytest.raises(InvalidInput):
        model.statistics.of_function("shop/pay", since, until, buckets)


def test_waits_soonest_first(model: HistoryReadModel) -> None:
    """Page by page; by kind, function and what is waited for."""
    running = [run for run in EVERY if run.status == "Running"]
    found: list[str] = []
    cursor = ""
    while True:
        page = model.waits.page(WaitFilter(kinds=("wait",), text="REVIEWED"), PageRequest(4, cursor))
        found += [row.run_id for row in page.rows]
        if not (cursor := page.next_cursor):
            break
    assert found == [run.id for run in running]
    assert model.waits.counts()["wait"].count == len(running)
    assert model.waits.page(WaitFilter(kinds=("sleep",))).rows == []
    of_function = model.waits.page(WaitFilter(function="shop/pay"), PageRequest(100)).rows
    assert [row.run_id for row in of_function] == [run.id for run in running if run.function == "shop/pay"]


def test_dead_letters_newest_first(model: HistoryReadModel) -> None:
    """With the bytes as they were, under an id made of where they lay."""
    page = model.dead_letters.page(DeadLetterFilter(), PageRequest(2))
    assert [row.offset for row in page.rows] == [COUNT - 1, COUNT - 2]
    following = model.dead_letters.page(DeadLetterFilter(), PageRequest(1, page.next_cursor)).rows
    assert [row.offset for row in following] == [COUNT - 3]
    one = model.dead_letters.one(record_event_id("events", 0, 5, EVERY[5].at))
    assert one is not None
    assert (one.value, one.reason) == (b"\xff", "no JSON 5")
    assert model.dead_letters.count(DeadLetterFilter(text="json 7")).count == 11
    assert model.dead_letters.count(DeadLetterFilter(topic="other")).count == 0
    assert model.dead_letters.count(DeadLetterFilter(since=EVERY[80].at)).count == 10


def test_an_attempt_belongs_to_the_step_that_it_was_of(tmp_path: Path) -> None:
    """Also of a step that ran in a discovery, once it has its result."""
    engine = writer_engine(f"sqlite:///{tmp_path / 'h'}")
    prepare(engine)
    run, job = EVERY[0].id, JobId("discover/start")
    folder, rows = RowFolder(CODEC, IncomingEvents(CODEC)), Rows()
    for number in range(3):
        error = None if number == 0 else f'{{"message":"no {number - 1}"}}'
        due_at, scheduled_at = NOW + number * 100, NOW + number * 100 - 50
        tried = JobScheduled(run, job, "call", DISCOVERY, due_at, scheduled_at, "", number, last_error=error)
        folder.add_state(rows, keys.job_key(run, job), CODEC.encode(tried))
    step = StepFinished(run, StepId("ab"), 0, "StepRun", "charge", "{}", NOW + 200, NOW + 205, attempt=2)
    folder.add_state(rows, keys.step_key(run, step.step_id), CODEC.encode(step))
    folder.add_state(rows, keys.job_key(run, job), None)
    HistoryWriter(engine, "c").write(folder.settle(rows), [Move(("x", 0), None, 1)])
    found = HistoryReadModel(engine).runs.attempts(run)
    assert [(row.attempt, row.of_step, row.error, row.started_at, row.ended_at) for row in found] == [
        (0, "ab", '{"message":"no 0"}', None, NOW + 50),
        (1, "ab", '{"message":"no 1"}', NOW + 100, NOW + 150),
    ]
    engine.dispose()


class StandingClock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("which", ["sqlite", "postgresql"])
def test_what_is_old_leaves_in_portions(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended runs with all that is theirs, then events that no run is left of; those of runs that go on stay."""
    monkeypatch.setattr("penstock.history.retention.PORTION", 8)
    sqlite = which == "sqlite"
    engine = writer_engine(f"sqlite:///{tmp_path / 'h'}" if sqlite else request.getfixturevalue("postgres_url"))
    metadata.drop_all(engine)
    fill(engine)
    clock, later = StandingClock(), EVERY[-1].at + 10 * HOUR
    retention = Retention(engine, Ages(HOUR, HOUR), clock)
    portions = 0
    while portions < 100:
        if retention.sweep(later) == 0 and rows_left(engine)["events"] == len(going_on()):
            break
        portions += 1
        clock.now += 1000.0
    left = rows_left(engine)
    assert left == {
        "runs": len(going_on()),
        "run_events": len(going_on()),
        "run_users": len(going_on()),
        "events": len(going_on()),
        "event_users": len(going_on()),
        "dead_letters": 0,
        "jobs": len(going_on()),
    }
    assert portions > COUNT / 8
    engine.dispose()


def going_on() -> list[Made]:
    return [run for run in EVERY if run.status == "Running"]


def rows_left(engine: Engine) -> dict[str, int]:
    names = ("runs", "run_events", "run_users", "events", "event_users", "dead_letters", "jobs")
    with engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in names
        }


def test_what_is_young_or_kept_for_ever_stays(tmp_path: Path) -> None:
    """Nothing is deleted before its age, nor with an age of 0; and the database is not asked again at once."""
    engine = writer_engine(f"sqlite:///{tmp_path / 'h'}")
    fill(engine)
    before, clock = rows_left(engine), StandingClock()
    later = EVERY[-1].at + 10 * HOUR
    for ages in (Ages(0, 0), Ages(1000 * HOUR, 1000 * HOUR)):
        retention = Retention(engine, ages, clock)
        assert [retention.sweep(later) for _ in range(3)] == [0, 0, 0]
    assert rows_left(engine) == before
    impatient = Retention(engine, Ages(HOUR, HOUR), clock)
    assert impatient.sweep(later) > 0
    engine.dispose()
