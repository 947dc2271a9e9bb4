"""Which runs an event starts."""

from __future__ import annotations

import pytest

from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.functions.triggering import Conditions, event_json
from penstock.matcher.matching import match
from penstock.messages.ids import EventId, FunctionKey, record_event_id, run_id
from penstock.messages.records import Event, Function, StartRun

RECEIVED = 1_788_000_000_000
INTERNAL = record_event_id("events", 0, 7, RECEIVED)


def event(name: str = "shop/placed", **fields: object) -> Event:
    made = {"internal_id": INTERNAL, "received_at": RECEIVED, "ts": RECEIVED} | fields
    return Event(name=name, **made)  # type: ignore[arg-type]


def table(**functions: tuple[EventTrigger, ...]) -> FunctionTable:
    made = FunctionTable()
    for offset, (slug, triggers) in enumerate(functions.items()):
        register(made, slug, triggers, offset)
    return made


def register(
    made: FunctionTable, slug: str, triggers: tuple[EventTrigger, ...], offset: int, archived: bool = False
) -> None:
    config = FunctionConfig(FunctionKey(f"app/{slug}"), "app", slug, slug, "http://127.0.0.1/x", triggers)
    made.apply(Function(config.key, "app", slug, slug, 1, config.to_json(), 1, archived), offset)


def starts(one: Event, functions: FunctionTable) -> tuple[StartRun, ...]:
    return match(one, functions, Conditions())


def slugs(one: Event, functions: FunctionTable) -> set[str]:
    return {start.function.removeprefix("app/") for start in starts(one, functions)}


def test_every_function_with_the_name_starts_once() -> None:
    """Many functions for one event; a function with two triggers that match starts one run."""
    functions = table(
        a=(EventTrigger("shop/placed"),),
        b=(EventTrigger("shop/placed", "event.data.n == 1"), EventTrigger("shop/placed")),
        c=(EventTrigger("shop/paid"),),
    )
    started = starts(event(data='{"n": 1}'), functions)
    assert [start.function for start in started] == ["app/a", "app/b"]


def test_an_event_that_nobody_wants_starts_nothing() -> None:
    """No function, no command."""
    assert starts(event("other"), table(a=(EventTrigger("shop/placed"),))) == ()


@pytest.mark.parametrize(
    ("trigger", "name", "starting"),
    [
        ("shop/*", "shop/placed", True),
        ("shop/*", "shop/order.placed", True),
        ("shop/order.*", "shop/order.placed", True),
        ("shop/order.*", "shop/orders", False),
        ("shop/*", "shopping", False),
        ("shop/*", "shop", False),
        ("shop/placed", "shop/placed.late", False),
    ],
)
def test_wildcards_end_a_name(trigger: str, name: str, starting: bool) -> None:
    """`/*` and `.*` at the end match any rest."""
    assert bool(starts(event(name), table(a=(EventTrigger(trigger),)))) is starting


def test_the_trigger_expression_decides() -> None:
    """Only what is true starts: false, an error, another type and an expression that does not compile do not."""
    functions = table(
        yes=(EventTrigger("shop/placed", "event.data.n > 1 && event.user.id == 'u'"),),
        no=(EventTrigger("shop/placed", "event.data.n > 2"),),
        error=(EventTrigger("shop/placed", "event.data.n.lowercase() == 'x'"),),
        number=(EventTrigger("shop/placed", "event.data.n"),),
        broken=(EventTrigger("shop/placed", "event.data.n =="),),
        missing=(EventTrigger("shop/placed", "event.data.nothing == null"),),
    )
    assert slugs(event(data='{"n": 2}', user='{"id": "u"}'), functions) == {"yes", "missing"}


def test_expressions_see_the_whole_event() -> None:
    """id, name, data, user, ts and v are there; null data and user are empty; now is when the event was received."""
    seen = (
        "event.id == 'mine' && event.name == 'shop/placed' && size(event.data) == 0 && size(event.user) == 0"
        f" && event.ts == {RECEIVED} && event.v == '2' && now() == date({RECEIVED})"
    )
    functions = table(a=(EventTrigger("shop/placed", seen),))
    assert slugs(event(id="mine", data="null", user="null", v="2"), functions) == {"a"}


def test_an_archived_function_no_longer_starts() -> None:
    """What a sync has removed is not triggered."""
    functions = table(a=(EventTrigger("shop/placed"),))
    register(functions, "a", (EventTrigger("shop/placed"),), 5, archived=True)
    assert starts(event(), functions) == ()


def test_the_command_names_run_event_and_registry() -> None:
    """The run id follows from function and event id; the producer's id is what duplicates are told by."""
    (start,) = starts(event(id="order-1"), table(a=(EventTrigger("shop/placed"),)))
    assert start == StartRun(
        run_id=run_id(FunctionKey("app/a"), "order-1", RECEIVED),
        function=FunctionKey("app/a"),
        events=(event_json(event(id="order-1")),),
        event_ids=(INTERNAL,),
        received_at=RECEIVED,
        dedupe_key="order-1",
        start_at=0,
        registry_offset=0,
    )


@pytest.mark.parametrize("own_id", ["", INTERNAL])
def test_without_an_id_of_its_producer_an_event_is_no_duplicate(own_id: EventId) -> None:
    """The internal id names the run, and no other event can repeat it."""
    (start,) = starts(event(id=own_id), table(a=(EventTrigger("shop/placed"),)))
    assert start.dedupe_key is None
    assert start.run_id == run_id(FunctionKey("app/a"), INTERNAL, RECEIVED)


def test_the_same_event_twice_gives_the_same_commands() -> None:
    """A record that is read again after a crash names the same runs."""
    functions = table(a=(EventTrigger("shop/placed"),), b=(EventTrigger("shop/*"),))
    assert starts(event(), functions) == starts(event(), functions)


def test_an_event_of_the_future_starts_then() -> None:
    """A `ts` after reception delays the run; one before it does not."""
    functions = table(a=(EventTrigger("shop/placed"),))
    (later,) = starts(event(ts=RECEIVED + 5000), functions)
    (earlier,) = starts(event(ts=RECEIVED - 5000), functions)
    assert (later.start_at, earlier.start_at) == (RECEIVED + 5000, 0)
