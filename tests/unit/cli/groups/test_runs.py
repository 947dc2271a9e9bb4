"""`penstock runs`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.commands import app
from penstock.cli.exit_codes import BadNews, Refused
from penstock.cli.groups import runs

from ..api import serve

RUN: dict[str, Any] = {
    "run_id": "01RUN",
    "function": "shop/f",
    "function_id": "u",
    "status": "Failed",
    "run_started_at": "2026-08-31T12:00:00Z",
    "ended_at": None,
    "output": {"message": "no"},
    "event_id": "01E",
}


def test_filters_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were typed, with times made absolute."""
    api = serve(monkeypatch, {"GET /v1/runs": [RUN]})
    shown = CliRunner().invoke(app, ["runs", "list", "--status", "Failed", "-F", "shop/f", "--to", "2026-08-31"])
    assert "01RUN\tshop/f\tFailed" in shown.output
    assert api.queries() == [
        {"status": "Failed", "function": "shop/f", "until": "2026-08-31T00:00:00.000Z", "limit": "20"}
    ]


def test_following_a_run_prints_its_steps_once_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that did not complete is bad news."""
    monkeypatch.setattr(runs, "FOLLOW_SECONDS", 0)
    states = iter([{**RUN, "status": "Running"}, RUN])
    step = {"id": "s", "name": "pay", "op": "StepRun", "status": "Completed", "duration_ms": 3}
    serve(monkeypatch, {"GET /v1/runs/01RUN": lambda _: next(states), "GET /v1/runs/01RUN/steps": [step]})
    shown = CliRunner().invoke(app, ["runs", "tail", "01RUN"])
    assert shown.output.count("pay (StepRun, 3 ms)") == 1
    assert "Failed: " in shown.output
    assert isinstance(shown.exception, BadNews)


def test_runs_that_a_filter_names_are_counted_before_anything_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run and a no start nothing; without any filter it is refused."""
    api = serve(monkeypatch, {"GET /v1/runs": [RUN, {**RUN, "run_id": "02RUN"}]})
    counted = CliRunner().invoke(app, ["runs", "rerun", "--status", "Failed", "--dry-run", "--json"])
    assert json.loads(counted.output) == {"runs": 2}
    answered = CliRunner().invoke(app, ["runs", "rerun", "--status", "Failed"], input="n\n")
    assert "2 runs match" in answered.output
    assert isinstance(answered.exception, Refused)
    assert isinstance(CliRunner().invoke(app, ["runs", "rerun"]).exception, Refused)
    assert {request.method for request in api.asked} == {"GET"}


def test_each_run_is_repeated_once_and_failures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be repeated does not stop the others; one that has been repeated is left as it is."""

    def known(rerun_of: str | None) -> list[dict[str, Any]]:
        if rerun_of is not None:
            return [{"run_id": "09RUN"}] if rerun_of == "04RUN" else []
        return [{**RUN, "run_id": name} for name in ("01RUN", "02RUN", "04RUN")]

    api = serve(
        monkeypatch,
        {
            "GET /v1/runs": lambda r: (200, {"data": known(r.url.params.get("rerun_of"))}),
            "POST /v1/runs/01RUN/rerun": (409, {"error": "function gone"}),
            "POST /v1/runs/02RUN/rerun": {"run_id": "03RUN"},
        },
    )
    shown = CliRunner().invoke(app, ["runs", "rerun", "--status", "Failed", "--yes", "--rate", "1000", "--json"])
    assert json.loads(shown.output)["begun"] == ["03RUN"]
    assert json.loads(shown.output)["failures"] == {"01RUN": "function gone"}
    assert isinstance(shown.exception, BadNews)
    assert api.bodies() == [{"idempotency_key": "once"}] * 2


def test_named_runs_are_repeated_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a step, when one is named."""
    api = serve(monkeypatch, {"POST /v1/runs/01RUN/rerun": {"run_id": "02RUN"}})
    api.answers["GET /v1/runs/01RUN/steps"] = [{"id": "5a5a", "name": "pay"}]
    assert CliRunner().invoke(app, ["runs", "rerun", "01RUN", "--from-step", "abc"]).output == "02RUN\n"
    assert CliRunner().invoke(app, ["runs", "rerun", "01RUN", "--from-step", "pay"]).output == "02RUN\n"
    assert api.bodies() == [{"from_step": "abc"}, {"from_step": "5a5a"}]


def test_cancelling_names_what_it_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request a run."""
    api = serve(monkeypatch, {"DELETE /v1/runs/01RUN": lambda _: (200, {})})
    assert CliRunner().invoke(app, ["runs", "cancel", "01RUN"]).exit_code == 0
    assert [(request.method, request.url.path) for request in api.asked] == [("DELETE", "/v1/runs/01RUN")]
