"""What a request asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.datastructures import QueryParams

from penstock.errors import InvalidInput
from penstock.history import asked


def test_every_filter_of_runs() -> None:
    """Names may be given several times; statuses in any case of letters; times in either form."""
    query = "status=failed&status=RUNNING&function=a/f&app=a&time_field=ended&from=5&until=1970-01-01T00:00:01Z"
    found = asked.run_filter(QueryParams(query + "&user=42&text=t&cel=event.x&replay=r&parent=p&rerun_of=o"))
    assert (found.statuses, found.functions, found.apps) == (("Failed", "Running"), ("a/f",), ("a",))
    assert (found.time_field, found.since, found.until) == ("ended", 5, 1000)
    assert (found.user, found.text, found.cel) == ("42", "t", "event.x")
    assert (found.replay, found.parent, found.rerun_of) == ("r", "p", "o")


def test_every_filter_of_events() -> None:
    """The protocol's names of the times mean the same as ours."""
    found = asked.event_filter(QueryParams("name=a&name=b&internal=false&received_after=5&until=9&user=u&cel=c&text=t"))
    assert (found.names, found.internal, found.since, found.until) == (("a", "b"), False, 5, 9)
    assert (found.user, found.cel, found.text) == ("u", "c", "t")


@pytest.mark.parametrize("empty", ["", "status=&function=&user=&limit=20&cursor=&from="])
def test_what_is_left_empty_is_not_asked_for(empty: str) -> None:
    """As a form sends it."""
    query = QueryParams(empty)
    assert asked.run_filter(query) == asked.RunFilter()
    assert asked.page_request(query) == asked.PageRequest(20)


def test_a_window_is_the_last_day_by_default() -> None:
    """Or the day before the end that is named."""
    assert asked.window(QueryParams("until=100000000")) == (100_000_000 - 86_400_000, 100_000_000)
    assert asked.window(QueryParams("from=3&until=9")) == (3, 9)
    since, until = asked.window(QueryParams(""))
    assert until - since == 86_400_000


@pytest.mark.parametrize(
    ("ask", "query", "message"),
    [
        (asked.page_request, "limit=0", "limit must be a whole number from 1 to 100, not '0'"),
        (asked.page_request, "direction=up", "direction must be desc or asc, not 'up'"),
        (asked.run_filter, "status=Happy", "status must be one of Running, Completed"),
        (asked.run_filter, "from=soon", "from must be a time such as 2026-08-31T12:00:00Z, not 'soon'"),
        (asked.run_filter, "time_field=born", "time_field must be queued or started or ended"),
        (asked.run_filter, "user=" + "x" * 5000, "user has 5000 characters; 4096 are allowed"),
        (asked.run_filter, "function=" + "x" * 5000, "a function may have 4096 characters"),
        (asked.run_filter, "&".join(["app=a"] * 101), "name at most 100 functions or apps"),
        (asked.run_filter, "text=" + "x" * 1001, "text may have 1000 characters"),
        (asked.event_filter, "internal=maybe", "internal must be true or false"),
        (asked.wait_filter, "kind=nap", "kind must be one of call, sleep"),
    ],
)
def test_what_cannot_be_used_is_refused(ask: Callable[[QueryParams], object], query: str, message: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidInput) as caught:
        ask(QueryParams(query))
    assert message in str(caught.value)
