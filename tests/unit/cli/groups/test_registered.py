"""`penstock functions`, `apps` and `dead-letters`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.commands import app
from penstock.cli.exit_codes import BadNews, NotFound, Refused

from ..api import serve

FUNCTION: dict[str, Any] = {
    "key": "shop/fulfil",
    "slug": "fulfil",
    "name": "Fulfil",
    "app": "shop",
    "version": 3,
    "registered_at": "2026-08-31T12:00:00Z",
    "config": {"triggers": [{"event": "shop/order"}, {"cron": "0 * * * *"}]},
}


def test_functions_are_listed_with_what_triggers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events and schedules, as their author wrote them."""
    serve(monkeypatch, {"GET /v1/functions": [FUNCTION]})
    assert "shop/fulfil\tFulfil\t3\tshop/order, 0 * * * *" in CliRunner().invoke(app, ["functions", "list"]).output


def test_a_function_is_shown_by_key_or_slug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name is not found, and those that are near are told."""
    serve(monkeypatch, {"GET /v1/functions": [FUNCTION]})
    for name in ("shop/fulfil", "fulfil"):
        assert json.loads(CliRunner().invoke(app, ["functions", "show", name, "--json"]).output)["version"] == 3
    missed = CliRunner().invoke(app, ["functions", "show", "shop/fulfill"])
    assert isinstance(missed.exception, NotFound)
    assert "shop/fulfil" in str(missed.exception)


def test_a_sync_that_fails_is_bad_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason that the server tells."""
    serve(monkeypatch, {"POST /v1/apps/my app/sync": {"app": "my app", "error": "it hangs"}})
    failed = CliRunner().invoke(app, ["apps", "sync", "my app"])
    assert isinstance(failed.exception, BadNews)
    assert "it hangs" in str(failed.exception)
    serve(monkeypatch, {"POST /v1/apps/shop/sync": {"app": "shop", "error": None}})
    assert CliRunner().invoke(app, ["apps", "sync", "shop"]).exit_code == 0


def test_an_app_with_an_error_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place where others say ok."""
    row = {"name": "shop", "url": "http://a", "sdk": "py", "synced_at": None, "error": None}
    serve(monkeypatch, {"GET /v1/apps": [row, {**row, "name": "mail", "error": "gone"}]})
    shown = CliRunner().invoke(app, ["apps", "list"]).output
    assert "shop\thttp://a\tpy\t\tok" in shown
    assert "mail\thttp://a\tpy\t\tgone" in shown


def test_dead_letters_are_shown_as_text_where_they_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base64 only where they are not."""
    letter = {"id": "D1", "reason": "no name", "value": "e30=", "value_text": "{}"}
    serve(monkeypatch, {"GET /v1/dead-letters/D1": letter})
    shown = CliRunner().invoke(app, ["dead-letters", "show", "D1"]).output
    assert "value_text: {}" in shown
    assert "e30=" not in shown
    serve(monkeypatch, {"GET /v1/dead-letters/D1": {**letter, "value_text": None}})
    assert "e30=" in CliRunner().invoke(app, ["dead-letters", "show", "D1"]).output


def test_a_repair_is_for_one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repair, any number is sent as it lay."""
    api = serve(monkeypatch, {f"POST /v1/dead-letters/D{n}/resend": {"topic": "events"} for n in (1, 2)})
    assert CliRunner().invoke(app, ["dead-letters", "retry", "D1", "D2"]).exit_code == 0
    refused = CliRunner().invoke(app, ["dead-letters", "retry", "D1", "D2", "--value", "{}"])
    assert isinstance(refused.exception, Refused)
    CliRunner().invoke(app, ["dead-letters", "retry", "D1", "--value", "{}"])
    assert api.bodies() == [{}, {}, {"value": "{}"}]
