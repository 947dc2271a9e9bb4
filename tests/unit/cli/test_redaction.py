"""What real events lose on their way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock.cli.redaction import redaction
from penstock.errors import InvalidInput


def test_values_at_paths_are_replaced_equal_by_equal() -> None:
    """Structure stays, nulls stay, equal values can still be joined; nothing of the value is left."""
    event = {
        "name": "shop/order",
        "data": {"email": "a@example.com", "items": [{"to": "a@example.com"}, {"to": "b"}], "none": None, "n": 1},
        "user": {"email": "a@example.com"},
    }
    changed = redaction("", ["data.email", "data.items.*.to", "data.none", "user.email", "data.absent.x"], b"salt")(
        event
    )
    assert changed is not None
    data = changed["data"]
    assert isinstance(data, dict)
    first = data["email"]
    assert first == data["items"][0]["to"] == changed["user"]["email"]  # type: ignore[index]
    assert first != data["items"][1]["to"]
    assert str(first).startswith("redacted-")
    assert (data["none"], data["n"]) == (None, 1)
    assert "example.com" not in str(changed)


@pytest.mark.parametrize("path", ["email", "name.x", "data", "data..x"])
def test_paths_begin_at_data_or_user(path: str) -> None:
    """What an event needs cannot be taken out by mistake."""
    with pytest.raises(InvalidInput, match="--redact-path"):
        redaction("", [path])


def test_a_hook_changes_or_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the current folder; one that fails or answers nonsense stops the pull."""
    (tmp_path / "clean_events.py").write_text(
        "def clean(event):\n"
        "    if event['name'] == 'skip': return None\n"
        "    if event['name'] == 'fail': raise RuntimeError('no')\n"
        "    return 5 if event['name'] == 'odd' else {'name': 'other'}\n"
    )
    monkeypatch.chdir(tmp_path)
    clean = redaction("clean_events:clean", [])
    assert clean({"name": "skip"}) is None
    assert clean({"name": "x"}) == {"name": "other"}
    for name, words in (("fail", "failed on event"), ("odd", "must return the event")):
        with pytest.raises(InvalidInput, match=words):
            clean({"name": name})
    sys.modules.pop("clean_events")


@pytest.mark.parametrize("hook", ["nothing", "nowhere_at_all:f", "json:nothing", "json:__name__"])
def test_a_hook_that_cannot_be_loaded_is_named(hook: str) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidInput, match="--redact"):
        redaction(hook, [])
