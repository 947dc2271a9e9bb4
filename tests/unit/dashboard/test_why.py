"""Why a function ran, or did not."""

from __future__ import annotations

import pytest

from penstock.dashboard.why import Circumstances, Reason, conjuncts, reasons
from penstock.functions.config import CronTrigger, EventTrigger, FunctionConfig, Trigger
from penstock.functions.table import FunctionTable
from penstock.messages.ids import FunctionKey
from penstock.messages.records import Event, Function

NOW = 1_790_000_000_000
EVENT = Event("shop/paid", '{"total": 5, "kind": "a"}', "order-1", NOW, "{}", None, "01M3250V000000000000000001", NOW)
NOTHING = Circumstances({}, {}, {}, unmatched=False, now=NOW)


def table(*triggers: Trigger, raw: str = "{}", version: int = 1, registered_at: int = NOW - 1) -> FunctionTable:
    made = FunctionTable()
    config = FunctionConfig(FunctionKey("shop/f"), "shop", "f", "F", "http://127.0.0.1/x", triggers, raw=raw)
    made.apply(Function(config.key, "shop", "f", "F", version, config.to_json(), registered_at), 0)
    return made


def only(made: FunctionTable, around: Circumstances = NOTHING, event: Event = EVENT) -> Reason:
    (reason,) = reasons(event, made, around)
    return reason


def test_it_ran_or_was_resumed() -> None:
    """With the runs, whatever else could be said."""
    started = Circumstances({"shop/f": ("R",)}, {}, {}, unmatched=True, now=NOW)
    resumed = Circumstances({}, {"shop/f": ("R",)}, {}, unmatched=True, now=NOW)
    assert (only(table(), started).verdict, only(table(), started).runs) == ("started", ("R",))
    assert only(table(), resumed).verdict == "resumed"


def test_another_name_is_told_with_a_hint_at_a_slip() -> None:
    """A name that is nearly it is asked back."""
    reason = only(table(EventTrigger("shop/payed")))
    assert (reason.verdict, reason.words) == ("name", "It is triggered by shop/payed. Did you mean shop/payed?")
    assert "by the clock (0 3 * * *)" in only(table(CronTrigger("0 3 * * *"))).words


def test_a_condition_is_taken_apart() -> None:
    """Each part with what it gives for this very event."""
    reason = only(table(EventTrigger("shop/paid", "event.data.total > 10 && event.data.kind == 'a'")))
    assert reason.verdict == "condition"
    assert reason.parts == (("event.data.total > 10", "false"), ("event.data.kind == 'a'", "true"))


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("a.b == '&&' && event.x", ["a.b == '&&' && event.x"]),
        ("event.a == '&&' && event.b", ["event.a == '&&'", "event.b"]),
        ("event.a && (event.b && event.c)", ["event.a", "(event.b && event.c)"]),
        ("event.a || event.b && event.c", ["event.a || event.b && event.c"]),
        ('event.a == "x\\"&&" && event.b', ['event.a == "x\\"&&"', "event.b"]),
    ],
)
def test_conjunctions_are_split_only_where_that_keeps_their_meaning(expression: str, parts: list[str]) -> None:
    """Not inside text or brackets, not beside an alternative, not into what does not compile."""
    assert conjuncts(expression) == parts


def test_a_function_registered_later_missed_it() -> None:
    """A replay is the way."""
    reason = only(table(EventTrigger("shop/paid"), registered_at=NOW + 1))
    assert (reason.verdict, "replay" in reason.words) == ("unregistered", True)


def test_an_event_id_that_came_before_starts_nothing() -> None:
    """Deduplication is the reason."""
    earlier = Circumstances({}, {}, {"shop/f": "01M32"}, unmatched=False, now=NOW)
    reason = only(table(EventTrigger("shop/paid")), earlier)
    assert (reason.verdict, "order-1" in reason.words) == ("prevented", True)


def test_limits_are_named_when_they_may_be_the_reason() -> None:
    """By what the function registered."""
    reason = only(table(EventTrigger("shop/paid"), raw='{"rateLimit":{"limit":1,"period":"1h"}}'))
    assert (reason.verdict, "its rate limit" in reason.words) == ("prevented", True)


def test_what_is_still_to_come() -> None:
    """The matcher behind, an event of the future, an executor that has not started it yet."""
    made = table(EventTrigger("shop/paid"))
    behind = Circumstances({}, {}, {}, unmatched=True, now=NOW)
    assert "matcher" in only(made, behind).words
    future = Event("shop/paid", ts=NOW + 5000, internal_id=EVENT.internal_id, received_at=NOW)
    assert "lies ahead" in only(made, event=future).words
    assert "executor" in only(made).words
