"""The page about testing says what is so."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from penstock.testing import RunView, World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text("utf-8")


async def test_the_page_s_example_passes() -> None:
    """Every Python block of the page runs, and every test in it passes."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/testing.md", "exec", dont_inherit=True), names)
    tests = [value for name, value in names.items() if name.startswith("test_") and inspect.iscoroutinefunction(value)]
    assert len(tests) == 2
    for test in tests:
        await test()


def test_the_page_names_everything() -> None:
    """What a world and a run offer is on the page."""
    for shown in (World, RunView):
        offered = {name for name in vars(shown) if not name.startswith("_")} - {"id", "function"}
        missing = {name for name in offered if not re.search(rf"\b{name}\b", PAGE)}
        assert not missing, f"{shown.__name__} has more than the page says"
