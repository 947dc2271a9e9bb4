"""The benchmark of the read model, with tiny numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import history


def test_every_question_is_asked_and_has_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line with times for each; what was filled in is found again."""
    page = tmp_path / "history.md"
    monkeypatch.setattr(sys, "argv", ["history", "--runs", "300", "--asks", "2", "--report", str(page)])
    history.main()
    lines = page.read_text("utf-8").splitlines()
    rows = {cells[1].strip(): cells for line in lines if len(cells := line.split("|")) == 8}
    assert len(rows) > 35
    assert "300" in rows["count of runs"][-2]
    assert "50 rows" in rows["runs: a function"][-2]
    assert "600" in rows["count of events"][-2]
    assert "ms of CPU a run" in page.read_text("utf-8")
