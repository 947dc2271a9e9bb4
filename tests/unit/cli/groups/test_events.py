"""`penstock events`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from penstock.cli.commands import app
from penstock.errors import InvalidInput

from ..api import serve

EVENT = {
    "internal_id": "01E",
    "id": "o1",
    "name": "<script>\x1b[2J",
    "received_at": "2026-08-31T12:00:00Z",
    "source": "http",
    "user": {},
    "data": {"n": 1},
}


def test_one_event_is_sent_and_its_id_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the data that was typed."""
    api = serve(monkeypatch, {"POST /e/cli": (200, {"ids": ["01E"], "status": 200})})
    shown = CliRunner().invoke(app, ["events", "send", "shop/order", "-d", '{"n": 1}', "--id", "o1"])
    assert shown.output == "01E\n"
    assert api.bodies() == [[{"name": "shop/order", "data": {"n": 1}, "id": "o1"}]]


def test_a_file_is_sent_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as it is sent; a mistake stops it with its line."""
    api = serve(monkeypatch, {"POST /e/cli": lambda r: (200, {"ids": ["x"] * len(json.loads(r.content))})})
    lines = '{"name": "a"}\n' * 250
    shown = CliRunner().invoke(app, ["events", "send", "--file", "-", "--json"], input=lines)
    assert len(json.loads(shown.output)["ids"]) == 250
    assert [len(body) for body in api.bodies()] == [100, 100, 50]
    broken = CliRunner().invoke(app, ["events", "send", "--file", "-"], input="{")
    assert isinstance(broken.exception, InvalidInput)


def test_the_list_is_asked_for_with_absolute_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """And shows names without what a terminal would obey."""
    api = serve(monkeypatch, {"GET /v1/events": [EVENT]})
    shown = CliRunner().invoke(app, ["events", "list", "--from", "2026-08-31", "--user", "42"])
    assert "<script>�[2J" in shown.output
    assert api.queries()[0]["received_after"] == "2026-08-31T00:00:00.000Z"
    assert api.queries()[0]["user"] == "42"


def test_an_event_is_shown_with_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or says that it started none."""
    run = {"run_id": "01R", "function": "shop/f", "status": "Running", "run_started_at": None}
    serve(monkeypatch, {"GET /v1/events/01E": EVENT, "GET /v1/events/01E/runs": [run]})
    assert "01R\tshop/f\tRunning" in CliRunner().invoke(app, ["events", "show", "01E"]).output
    serve(monkeypatch, {"GET /v1/events/01E": EVENT, "GET /v1/events/01E/runs": (200, {"data": []})})
    assert "it started no run" in CliRunner().invoke(app, ["events", "show", "01E"]).output
