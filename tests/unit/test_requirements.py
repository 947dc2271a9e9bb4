"""The pinned packages that `run.py` installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)(?:\[[a-z,]+\])?==([\w.!+-]+)( ; .+)?")


def _pins(which: str) -> set[str]:
    lines = (ROOT / "requirements" / f"{which}.txt").read_text("utf-8").splitlines()
    matches = [_PIN.fullmatch(line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if match is None]
    return {match[1] for match in matches if match is not None}


def _names(requirements: list[object]) -> set[str]:
    texts = [text for text in requirements if isinstance(text, str)]
    return {re.split(r"[\[<>=; ]", text, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-") for text in texts}


@pytest.mark.parametrize("which", ["run", "dev"])
def test_every_line_pins_one_version_and_names_no_place(which: str) -> None:
    """Names and versions only: where packages come from is the user's to say."""
    assert len(_pins(which)) > 50


def test_everything_that_is_needed_is_pinned() -> None:
    """A dependency that was added to the project is in the pins too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"]
    runtime = _names(project["project"]["dependencies"]) | _names(groups["examples"])
    assert runtime - _pins("run") == set()
    assert (runtime | _names(groups["dev"])) - _pins("dev") == set()
    assert _pins("run") <= _pins("dev")
