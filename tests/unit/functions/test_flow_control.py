"""Flow control: the shapes and bounds of what a function may register."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from penstock.errors import InvalidRegistration
from penstock.functions.flow_control import Concurrency, ConcurrencyLimit, FlowControl
from penstock.functions.registration import parse_registration
from tests.unit.functions.bodies import body, compiles, function


def registered(**keys: object) -> FlowControl:
    """What later rooms read of a function that was registered with these keys."""
    (config,) = parse_registration(body(function(**keys)), compiles).functions
    return FlowControl.from_raw(config.raw)


def refusal(**keys: object) -> str:
    """Why a function with these keys is refused."""
    with pytest.raises(InvalidRegistration) as refused:
        registered(**keys)
    return str(refused.value)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (3, Concurrency(step=(ConcurrencyLimit(limit=3),))),
        ({"limit": 3, "key": "event.data.a"}, Concurrency(step=(ConcurrencyLimit(limit=3, key="event.data.a"),))),
        (
            [{"limit": 1}, {"limit": 2, "scope": "ENV", "key": "'a'", "hash": "x"}],
            Concurrency(step=(ConcurrencyLimit(limit=1), ConcurrencyLimit(limit=2, scope="env", key="'a'"))),
        ),
        (
            {"fn": [{"limit": 1}], "step": [{"limit": 2}]},
            Concurrency(fn=(ConcurrencyLimit(limit=1),), step=(ConcurrencyLimit(limit=2),)),
        ),
    ],
)
def test_concurrency_has_four_spellings(sent: object, expected: Concurrency) -> None:
    """A number, a limit, a list of limits and Go's two-part object mean the same thing."""
    assert registered(concurrency=sent).concurrency == expected


def test_everything_else_is_read() -> None:
    """Limits, delays, cancellation and timeouts arrive as typed values, whatever the case of their keys."""
    flow = registered(
        throttle={"limit": 0, "period": "1m", "burst": 1},
        ratelimit={"limit": 5, "period": "1h", "key": "event.data.a"},
        Debounce={"period": "5s", "timeout": "1m"},
        Singleton={"mode": "SKIP"},
        priority={"run": "event.data.p"},
        timeouts={"start": "10s", "finish": "1h"},
        cancel=[{"event": "a/b", "if": "event.data.x == async.data.x", "timeout": "2030-01-01T00:00:00"}],
        idempotency="event.data.id",
    )
    assert flow.throttle is not None
    assert flow.throttle.period == timedelta(minutes=1)
    assert flow.rate_limit is not None
    assert flow.rate_limit.key == "event.data.a"
    assert flow.debounce is not None
    assert flow.debounce.timeout == timedelta(minutes=1)
    assert flow.singleton is not None
    assert flow.singleton.mode == "skip"
    assert flow.timeouts is not None
    assert flow.timeouts.finish == timedelta(hours=1)
    assert flow.cancel[0].timeout == datetime(2030, 1, 1, tzinfo=UTC)
    assert [name for name, _ in flow.expressions()] == ["rateLimit.key", "cancel.if", "idempotency", "priority.run"]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"concurrency": -1}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"concurrency": "3"}, "concurrency"),
        ({"concurrency": {"limit": 1, "scope": "env"}}, "needs a key"),
        ({"concurrency": {"limit": 1, "scope": "galaxy"}}, "scope"),
        ({"concurrency": [{"limit": 1}] * 3}, "at most 2"),
        ({"concurrency": {"fn": [{"limit": 1}] * 2}}, "at most 1"),
        ({"throttle": {"limit": 1}}, "throttle.period"),
        ({"throttle": {"limit": 1, "period": "1500ms"}}, "whole seconds"),
        ({"throttle": {"limit": 1, "period": "0s"}}, "throttle.period"),
        ({"rateLimit": {"limit": 0, "period": "1h"}}, "rateLimit.limit"),
        ({"rateLimit": {"limit": 1, "period": "25h"}}, "rateLimit.period"),
        ({"debounce": {"period": "999ms"}}, "debounce.period"),
        ({"debounce": {"period": "8d"}}, "debounce.period"),
        ({"batchEvents": {"maxSize": 1, "timeout": "1s"}}, "batchEvents.maxSize"),
        ({"batchEvents": {"maxSize": 2, "timeout": "500ms"}}, "batchEvents.timeout"),
        ({"cancel": [{"event": "a"}] * 6}, "at most 5"),
        ({"cancel": [{"event": "a", "timeout": "2030-99-01"}]}, "cancel.0.timeout"),
        ({"cancel": [{"event": "a", "if": "broken"}]}, "cancel.if"),
        ({"idempotency": "broken"}, "idempotency"),
        ({"singleton": {"mode": "maybe"}}, "singleton.mode"),
        ({"timeouts": {"start": 5}}, "timeouts.start"),
    ],
)
def test_refused_by_name(keys: dict[str, object], place: str) -> None:
    """Everything out of bounds is refused, and the message names function and key."""
    message = refusal(**keys)
    assert message.startswith("function 'shop-import': ")
    assert place in message


@pytest.mark.parametrize(
    "other",
    [
        {"cancel": [{"event": "a"}]},
        {"debounce": {"period": "1s"}},
        {"singleton": {"mode": "skip"}},
        {"priority": {"run": "1"}},
    ],
)
def test_batches_stand_alone(other: dict[str, object]) -> None:
    """A batch belongs to many events, so nothing that is decided by one event goes with it."""
    assert "cannot be combined with " + next(iter(other)) in refusal(
        batchEvents={"maxSize": 2, "timeout": "1s"}, **other
    )


def test_kept_as_json_in_one_spelling() -> None:
    """`raw` keeps unknown keys too, and leaves out what is not set."""
    sent = function(RATELIMIT={"LIMIT": 1, "PERIOD": "1h"}, throttle=None, cancel=[], custom={"a": 1})
    (config,) = parse_registration(body(sent), compiles).functions
    raw = json.loads(config.raw)
    assert raw["rateLimit"] == {"limit": 1, "period": "1h"}
    assert raw["custom"] == {"a": 1}
    assert not raw.keys() & {"throttle", "cancel"}
