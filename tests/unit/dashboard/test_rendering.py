"""Templates, and how moments and numbers are written in them."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError

from penstock.dashboard.rendering import ASSETS, Renderer, ago, count, fingerprint, size

NOW = 1_790_000_000_000


def test_every_template_compiles() -> None:
    """A slip in one is found before somebody opens its page."""
    renderer = Renderer(lambda: NOW)
    names = renderer._environment.list_templates()
    assert len(names) >= 20
    for name in names:
        renderer._environment.get_template(name)


def test_a_value_that_a_template_misses_is_an_error() -> None:
    """Not an empty place on the page."""
    with pytest.raises(UndefinedError):
        Renderer(lambda: NOW).html("problem.html", {"code": 404})


def test_a_moment_is_told_twice() -> None:
    """For people, and for the machine that keeps it true."""
    assert str(ago(lambda: NOW, NOW - 5000)) == (
        '<time datetime="2026-09-21T14:13:15.000Z" title="2026-09-21 14:13:15.000 UTC">5 s ago</time>'
    )
    assert "–" in ago(lambda: NOW, None)


def test_numbers_are_written_for_people() -> None:
    """Thousands apart; bytes in the unit that fits."""
    assert count(1234567) == "1\u2009234\u2009567"
    assert (size(12), size(2048), size(3 * 1024 * 1024)) == ("12 B", "2 KB", "3.0 MB")


def test_assets_have_one_address_for_one_content() -> None:
    """And ask nothing of another host."""
    assert fingerprint() == fingerprint()
    for path in ASSETS.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?://|//cdn|@import", text) == [], path.name
