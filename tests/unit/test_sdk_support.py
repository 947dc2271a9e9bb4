"""The page that says which SDK has what agrees with the scenarios that are run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.scenarios import scenarios_of

ROOT = Path(__file__).parents[2]
COLUMNS = {"Python": "python-fastapi", "TypeScript": "typescript", "Go 0.16": "go-0.16", "Go 0.7": "go-0.7"}
#: Scenarios of steps that say nothing about what an SDK offers.
PLAIN = {"repeated", "values", "function-recovers", "failure-in-the-middle"}


def rows() -> list[dict[str, str]]:
    """The page's table."""
    page = (ROOT / "docs" / "sdk-support.md").read_text("utf-8")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


def shown_by(row: dict[str, str]) -> list[str]:
    return re.findall(r"`([^`]+)`", row["shown by"])


@pytest.mark.parametrize("column", COLUMNS)
def test_a_mark_means_that_the_sdk_runs_the_scenarios(column: str) -> None:
    """✓ where the SDK's app runs each scenario of the row, – where it runs none of them."""
    run = {scenario.name for scenario in scenarios_of(COLUMNS[column])}
    for row in rows():
        scenarios = {name for name in shown_by(row) if not name.startswith("test_")}
        assert row[column] in ("✓", "–"), row
        assert scenarios <= run if row[column] == "✓" else not scenarios & run, (column, row["feature"])


def test_everything_that_is_run_is_on_the_page() -> None:
    """No scenario is left out, and every test that is named is there."""
    named = {name for row in rows() for name in shown_by(row)}
    run = {scenario.name for sdk in COLUMNS.values() for scenario in scenarios_of(sdk)}
    assert {name for name in named if not name.startswith("test_")} == run - PLAIN
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "conformance").glob("test_*.py"))
    assert [name for name in named if name.startswith("test_") and f"def {name}(" not in sources] == []
