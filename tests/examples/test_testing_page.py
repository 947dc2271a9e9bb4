"""The page about testing, and README's section on it, say what is so."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from examples.contact_import.address_book import SqliteAddressBook
from examples.contact_import.app import build_app
from penstock.testing import RunView, World

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")


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


async def test_readme_s_example_passes(tmp_path: Path) -> None:
    """With the app that it names."""
    (block,) = re.findall(r"```python\n(async with World.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    code = "async def readme():\n" + "".join(f"    {line}\n" for line in block.splitlines())
    names: dict[str, Any] = {
        "World": World,
        "app": build_app(SqliteAddressBook(tmp_path / "c.db"), is_production=False),
    }
    exec(compile(code, "README.md", "exec", dont_inherit=True), names)
    await names["readme"]()
