"""What a sync writes, and what it leaves alone."""

from __future__ import annotations

import pytest

from penstock.functions.registration import Registration, parse_registration
from penstock.functions.sync import MAX_ERROR, SyncPlan, plan_failure, plan_removal, plan_sync, same_place
from penstock.functions.table import FunctionTable
from penstock.messages.records import App, Function
from tests.unit.functions.bodies import URL, body, compiles, function


def registration(*functions: object, **changes: object) -> Registration:
    return parse_registration(body(*functions, **changes), compiles)


def apply(table: FunctionTable, *records: Function | App) -> None:
    for record in records:
        table.apply(record, table.offset + 1)


def sync(table: FunctionTable, wanted: Registration, now: int = 1) -> SyncPlan:
    """Plan a sync and let the table have what it writes."""
    plan = plan_sync(table, wanted, now)
    apply(table, *plan.records)
    return plan


def versions(table: FunctionTable) -> dict[str, int]:
    return {f.config.slug: f.version for f in table.functions()}


def test_a_new_app_is_written_whole_functions_first() -> None:
    """The app's record comes last, so that a sync cut short is seen as one that never was."""
    plan = sync(FunctionTable(), registration(function("a"), function("b")))
    assert plan.modified
    assert [type(record).__name__ for record in plan.records] == ["Function", "Function", "App"]


def test_the_same_again_writes_nothing() -> None:
    """An identical sync is free, however often it comes."""
    table = FunctionTable()
    sync(table, registration(function("a")))
    assert sync(table, registration(function("a"))) == SyncPlan((), modified=False)


def test_only_changed_functions_get_a_new_version() -> None:
    """A version counts changes of that function, not syncs of its app."""
    table = FunctionTable()
    sync(table, registration(function("a"), function("b")))
    plan = sync(table, registration(function("a"), function("b", name="Other")))
    assert plan.modified
    assert versions(table) == {"a": 1, "b": 2}
    assert len(plan.records) == 2


def test_absent_functions_are_archived_and_come_back() -> None:
    """A sync replaces all of an app; a function that returns unchanged keeps its version."""
    table = FunctionTable()
    sync(table, registration(function("a"), function("b")))
    sync(table, registration(function("a")))
    assert versions(table) == {"a": 1}
    sync(table, registration(function("a"), function("b")))
    assert versions(table) == {"a": 1, "b": 1}


def test_other_apps_are_left_alone() -> None:
    """A full replacement is one of this app only."""
    table = FunctionTable()
    sync(table, registration(function("a")))
    sync(table, registration(function("a"), appname="other"))
    sync(table, registration(appname="other", functions=[]))
    assert [f.config.app for f in table.functions()] == ["shop"]


def test_another_url_moves_the_app() -> None:
    """The same functions at another place are a change."""
    table = FunctionTable()
    sync(table, registration(function("a")))
    assert sync(table, registration(function("a"), url="http://127.0.0.1:9/api/inngest")).modified
    app = table.app("shop")
    assert app is not None
    assert app.url == "http://127.0.0.1:9/api/inngest"


def test_a_sync_that_works_clears_the_error() -> None:
    """The record of a failure goes with the next success, though nothing else is new."""
    table = FunctionTable()
    sync(table, registration(function("a")))
    app = table.app("shop")
    assert app is not None
    failed = plan_failure(app, "x" * 1000)
    assert failed is not None
    assert failed.error == "x" * MAX_ERROR
    apply(table, failed)
    assert plan_failure(failed, "x" * 1000) is None
    plan = sync(table, registration(function("a")))
    assert not plan.modified
    assert [record.error for record in plan.records if isinstance(record, App)] == [None]


def test_removal_archives_every_function_at_the_url() -> None:
    """Afterwards nothing there is triggered, and the same sync is a new one again."""
    table = FunctionTable()
    sync(table, registration(function("a")))
    apply(table, *plan_removal(table, URL.replace("127.0.0.1", "localhost"), 9))
    assert versions(table) == {}
    assert plan_removal(table, URL, 10) == ()
    assert sync(table, registration(function("a"))).modified
    assert versions(table) == {"a": 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://127.0.0.1:8000/a", "http://localhost:8000/a/?x=1", True),
        ("http://a.example/x", "http://a.example:80/x", True),
        ("http://a.example/x", "https://a.example/x", False),
        ("http://a.example/x", "http://a.example/y", False),
        ("http://a.example:99999/x", "http://a.example/x", False),
    ],
)
def test_places_are_compared_by_what_they_name(one: str, other: str, same: bool) -> None:
    """This machine has several names, and a query does not make another app."""
    assert same_place(one, other) is same
