"""Which events a replay is for."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidInput
from penstock.functions.config import EventTrigger
from penstock.replay.selection import Selection, covers, names, topics

from .doubles import CRON, NOW, event, function, replay

PAID = EventTrigger("shop/order", "event.data.n > 5")


@pytest.mark.parametrize(
    ("asked", "triggers", "name", "n", "wanted"),
    [
        ({}, (PAID,), "shop/order", 6, True),
        ({}, (PAID,), "shop/order", 5, False),
        ({}, (PAID,), "shop/other", 6, False),
        ({}, (PAID, EventTrigger("shop/*")), "shop/order", 5, True),
        ({"ignore_triggers": True}, (PAID,), "shop/order", 5, True),
        ({"ignore_triggers": True}, (PAID,), "shop/other", 5, False),
        ({"event": "shop/other"}, (PAID,), "shop/other", 1, True),
        ({"event": "shop/other"}, (PAID,), "shop/order", 6, False),
        ({"event": "shop/*"}, (PAID,), "shop/order", 5, False),
        ({"event": "shop/*"}, (PAID,), "shop/order", 6, True),
        ({"event": "shop/order"}, (CRON,), "shop/order", 1, True),
        ({"condition": "event.data.n == 7"}, (PAID,), "shop/order", 7, True),
        ({"condition": "event.data.n == 7"}, (PAID,), "shop/order", 8, False),
        ({"condition": "event.data.n == 1"}, (PAID,), "shop/order", 1, False),
    ],
)
def test_names_expressions_and_conditions_decide(
    asked: dict[str, object], triggers: tuple[EventTrigger, ...], name: str, n: int, wanted: bool
) -> None:
    """Triggers are asked as live events ask them, unless the event is none of theirs or they are to be ignored."""
    assert Selection(replay(**asked), function(*triggers)).wants(event(name, n)) is wanted


def test_times_include_their_begin_and_exclude_their_end() -> None:
    """A record is in time from `from` on and before `to`."""
    selection = Selection(replay(from_at=NOW, to_at=NOW + 10), function())
    assert [selection.in_time(NOW + ms) for ms in (-1, 0, 9, 10)] == [False, True, True, False]
    assert Selection(replay(), function()).in_time(1)


def test_a_function_without_event_triggers_needs_a_name() -> None:
    """A cron function runs for events only when they are named."""
    with pytest.raises(InvalidInput, match="name the events"):
        names("", function(CRON))
    assert names("shop/order", function(CRON)) == ("shop/order",)


def test_internal_events_are_read_only_when_named() -> None:
    """The system's own events lie on a topic of their own."""
    assert list(topics(["shop/order"], "e", "i")) == ["e"]
    assert list(topics(["inngest/function.failed"], "e", "i")) == ["i"]
    assert list(topics(["shop/*", "inngest/*"], "e", "i")) == ["e", "i"]


def test_wildcards_cover_whole_words() -> None:
    """`shop/*` is every name that begins with `shop/`; anything else is the name itself."""
    assert covers("shop/*", "shop/order.placed")
    assert covers("shop.*", "shop.order")
    assert not covers("shop/*", "shopping/order")
    assert not covers("shop", "shop/order")
