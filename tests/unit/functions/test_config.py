"""A function's configuration as the functions topic holds it, whoever wrote it there."""

from __future__ import annotations

import json

import pytest

from penstock.errors import InvalidRegistration
from penstock.functions.config import CronTrigger, EventTrigger, FunctionConfig
from penstock.messages.ids import FunctionKey

TRIGGERS = (EventTrigger("shop/a", "event.data.x == 1"), EventTrigger("shop/b"), CronTrigger("* * * * *", "5s"))
CONFIG = FunctionConfig(
    FunctionKey("a/f"), "a", "f", "F", "http://x/", TRIGGERS, 2, "py:v1", '{"priority":{"run":"1"}}'
)


def test_what_was_written_is_read() -> None:
    """Every field comes back as it was."""
    assert FunctionConfig.from_json(CONFIG.to_json()) == CONFIG


def test_fields_that_came_later_have_defaults() -> None:
    """What an earlier release wrote is read."""
    row = json.loads(CONFIG.to_json())
    for name in ("retries", "sdk", "raw"):
        del row[name]
    assert FunctionConfig.from_json(json.dumps(row)).raw == "{}"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 7},
        {"url": None},
        {"triggers": [{}]},
        {"triggers": {"event": "a"}},
        {"triggers": [{"event": 7}]},
        {"retries": -1},
        {"retries": 10**9},
        {"raw": []},
        {"raw": {"cancel": 5}},
        {"raw": {"throttle": {"limit": 1, "period": "for ever"}}},
    ],
)
def test_what_no_release_writes_is_refused(changes: dict[str, object]) -> None:
    """Where it is read, not where a run would need it."""
    with pytest.raises(InvalidRegistration, match="cannot be read"):
        FunctionConfig.from_json(json.dumps(json.loads(CONFIG.to_json()) | changes))


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", "null", "[" * 100_000, '{"raw":' * 500])
def test_what_is_no_configuration_at_all_is_refused(text: str) -> None:
    """Also when it nests deeper than any reader goes."""
    with pytest.raises(InvalidRegistration, match="cannot be read"):
        FunctionConfig.from_json(text)
