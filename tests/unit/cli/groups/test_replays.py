"""`penstock replay` and `penstock replays`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.commands import app
from penstock.cli.exit_codes import BadNews, NotFound
from penstock.cli.groups import replays

from ..api import serve

DONE: dict[str, Any] = {
    "id": "R1",
    "function": "shop/f",
    "status": "Completed",
    "dry_run": False,
    "total": 10,
    "done": 10,
    "matched": 4,
    "started": 4,
    "by_day": {"2026-08-31": 4},
    "seconds_at_rate": 7200,
    "rate": 100,
    "held_back": "",
    "error": "",
    "created_at": "2026-08-31T12:00:00Z",
}


def test_it_asks_follows_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed is what is asked for, no more; the end is told with its counts."""
    monkeypatch.setattr(replays, "FOLLOW_SECONDS", 0)
    steps = iter([{**DONE, "status": "Running", "done": 5}, DONE])
    api = serve(
        monkeypatch,
        {"POST /v1/replays": {**DONE, "status": "Scheduled"}, "GET /v1/replays/R1": lambda _: next(steps)},
    )
    shown = CliRunner().invoke(app, ["replay", "-F", "shop/f", "--from", "2026-08-01", "--if", "event.data.n > 1"])
    assert shown.exit_code == 0, shown.output
    assert "R1: Completed, 10 of 10 records read, 4 events match, 4 runs started" in shown.output
    assert api.bodies()[0] == {"function": "shop/f", "from": "2026-08-01T00:00:00.000Z", "if": "event.data.n > 1"}


def test_a_dry_run_tells_how_many_by_day_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """In hours where it is hours."""
    api = serve(monkeypatch, {"POST /v1/replays": {**DONE, "dry_run": True}})
    shown = CliRunner().invoke(app, ["replay", "-F", "shop/f", "--dry-run"]).output
    assert "4 runs would start, in about 2.0 h at 100/s" in shown
    assert "2026-08-31\t4" in shown
    assert api.bodies() == [{"function": "shop/f", "dry_run": True}]


def test_one_that_failed_is_bad_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is that of bad news, in JSON as well."""
    serve(monkeypatch, {"GET /v1/replays/R1": {**DONE, "status": "Failed", "error": "gone"}})
    shown = CliRunner().invoke(app, ["replays", "watch", "R1", "--json"])
    assert isinstance(shown.exception, BadNews)
    assert json.loads(shown.output)["error"] == "gone"


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
def test_each_action_is_one_request(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """And an unknown id is not found."""
    api = serve(monkeypatch, {f"POST /v1/replays/R1/{action}": DONE})
    assert CliRunner().invoke(app, ["replays", action, "R1"]).exit_code == 0
    assert [request.url.path for request in api.asked] == [f"/v1/replays/R1/{action}"]
    assert isinstance(CliRunner().invoke(app, ["replays", action, "R2"]).exception, NotFound)


def test_a_new_rate_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """To one that goes on."""
    api = serve(monkeypatch, {"POST /v1/replays/R1/resume": DONE})
    CliRunner().invoke(app, ["replays", "resume", "R1", "--rate", "5"])
    assert api.bodies() == [{"rate": 5.0}]


def test_the_list_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or says that there is nothing yet."""
    serve(monkeypatch, {"GET /v1/replays": [DONE]})
    assert "R1\tshop/f\tCompleted\t10 of 10\t4" in CliRunner().invoke(app, ["replays", "list"]).output
    serve(monkeypatch, {"GET /v1/replays": (200, {"data": []})})
    assert "no replay yet" in CliRunner().invoke(app, ["replays", "list"]).output
