"""Which parts of an event an expression needs."""

from __future__ import annotations

import pytest

from penstock.expressions.reads import Reads, prune, reads_of
from penstock.expressions.syntax import parse

EVENT: dict[str, object] = {"name": "n", "data": {"a": 1, "b": {"c": 2, "d": 3}, "l": [{"x": 1}], "t": "text"}}


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("async.data.x", None),
        ("event.data.a", {"data": {"a": {}}}),
        ("event.data.a == event.data.b.c", {"data": {"a": {}, "b": {"c": {}}}}),
        ("event.data.b.c == event.data.b", {"data": {"b": {}}}),
        ("event.data.b == event.data.b.c", {"data": {"b": {}}}),
        ("event['data']['a']", {"data": {"a": {}}}),
        ("has(event.data.a)", {"data": {"a": {}}}),
        ("event.data.l[0].x", {"data": {"l": {}}}),
        ("event.data[async.key]", {"data": {}}),
        ("event.data.l.exists(i, i.x == event.name)", {"data": {"l": {}}, "name": {}}),
        ("{'a': event}.a.name", {}),
        ("event == async", {}),
    ],
)
def test_what_is_read(text: str, reads: Reads | None) -> None:
    """Constant keys below the event; all of it where keys are computed or the event is used as a whole."""
    assert reads_of(parse(text), "event") == reads


def test_a_pruned_event_holds_only_that() -> None:
    """Missing keys stay missing, and what is no map is kept as it is."""
    assert prune(EVENT, None) == {}
    assert prune(EVENT, {}) == EVENT
    assert prune(EVENT, {"data": {"b": {"c": {}}, "zz": {}}}) == {"data": {"b": {"c": 2}}}
    assert prune(EVENT, {"data": {"t": {"x": {}}}}) == {"data": {"t": "text"}}
    assert prune(EVENT, {"user": {"x": {}}}) == {}
