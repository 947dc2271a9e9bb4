"""Events from options and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.cli.event_input import lines, many, one
from penstock.errors import InvalidInput


def test_options_make_an_event(tmp_path: Path) -> None:
    """Data is JSON, in the option or in a file."""
    (tmp_path / "data.json").write_text('{"n": 1}')
    assert one("a/b", f"@{tmp_path / 'data.json'}", "e1", '{"id": "u"}') == {
        "name": "a/b",
        "data": {"n": 1},
        "id": "e1",
        "user": {"id": "u"},
    }


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("", "{}", "event's name"), ("a", "{n: 1}", "--data is not JSON"), ("a", "@/nowhere/x", "cannot be read")],
)
def test_mistakes_name_the_option(name: str, data: str, words: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(InvalidInput, match=words):
        one(name, data, "", "")


def test_lines_are_events_and_mistakes_have_a_number() -> None:
    """Empty lines are passed over; nothing after a mistake is sent."""
    assert list(lines([b'{"name": "a"}\n', b"\n", b'{"name": "b"}'], "f")) == [{"name": "a"}, {"name": "b"}]
    with pytest.raises(InvalidInput, match="f, line 2 is not JSON"):
        list(lines([b"{}", b"{"], "f"))
    with pytest.raises(InvalidInput, match="f, line 1: an event is a JSON object"):
        list(lines([b"[]"], "f"))
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(many("/nowhere/events.jsonl"))
