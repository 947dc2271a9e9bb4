"""Does an event trigger a function?"""

from __future__ import annotations

import orjson

from penstock.functions.config import EventTrigger
from penstock.functions.triggering import Conditions, EventContent, event_json
from penstock.messages.ids import record_event_id
from penstock.messages.records import Event

RECEIVED = 1_788_000_000_000
INTERNAL = record_event_id("events", 0, 7, RECEIVED)


def event(name: str = "shop/placed", **fields: object) -> Event:
    made = {"internal_id": INTERNAL, "received_at": RECEIVED, "ts": RECEIVED} | fields
    return Event(name=name, **made)  # type: ignore[arg-type]


def test_a_trigger_without_an_expression_takes_every_event() -> None:
    """Only an expression can keep an event of the right name away."""
    conditions, content = Conditions(), EventContent(event(data='{"n": 1}'))
    assert conditions.allow(EventTrigger("shop/placed"), content, RECEIVED)
    assert conditions.allow(EventTrigger("shop/placed", "event.data.n == 1"), content, RECEIVED)
    assert not conditions.allow(EventTrigger("shop/placed", "event.data.n == 2"), content, RECEIVED)


def test_sdks_receive_the_event_in_their_shape() -> None:
    """id and ts are always there, data and user are objects, v only where given."""
    text = event_json(event(data='{"a": 1.50}', user="null"))
    assert orjson.loads(text) == {
        "id": INTERNAL,
        "name": "shop/placed",
        "data": {"a": 1.5},
        "user": {},
        "ts": RECEIVED,
    }
    assert '{"a": 1.50}' in text, "payloads are passed on as they came"
    assert orjson.loads(event_json(event(data="null", v="3")))["data"] == {}
    assert orjson.loads(event_json(event(v="3")))["v"] == "3"


def test_compiled_expressions_are_bounded() -> None:
    """The least recently used is forgotten and compiled again when it is needed."""
    conditions = Conditions(most=2)
    for n in (1, 2, 3, 1, 2, 3):
        assert conditions.hold(f"event.n == {n}", {"n": n}, RECEIVED)
    assert len(conditions._compiled) == 2
