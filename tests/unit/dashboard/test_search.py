"""What people type into the filters."""

from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from penstock.dashboard.search import PERIODS, is_cel, link, moment, search
from penstock.errors import InvalidInput

NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    "query", ["event.data.n > 1", "output.ok", "event['data'].n", "has(event.data.n)", "output == 7"]
)
def test_an_expression_is_known_by_its_variables(query: str) -> None:
    """Over `event` and `output`."""
    assert is_cel(query)


@pytest.mark.parametrize("query", ["order-17", "the event", "output", "payment failed", "a@b.example", "reoutput.x"])
def test_anything_else_is_text(query: str) -> None:
    """Also what merely names them."""
    wanted = search(QueryParams({"q": query}), NOW)
    assert (wanted.text, wanted.cel) == (query, "")


def test_an_address_holds_every_filter() -> None:
    """Whoever is sent a link sees the same list."""
    text = "status=failed&status=Running&function=a/b&user=u1&period=1h&order=ended&replay=R&app=x"
    wanted = search(QueryParams(text), NOW)
    assert wanted.statuses == ("Failed", "Running")
    assert (wanted.functions, wanted.apps, wanted.user) == (("a/b",), ("x",), "u1")
    assert (wanted.since, wanted.order, wanted.replay) == (NOW - PERIODS["1h"], "ended", "R")
    assert wanted.narrowed
    assert not search(QueryParams(""), NOW).narrowed


@pytest.mark.parametrize("text", ["status=odd", "period=1y", "order=up", "from=soon", "q=" + "x" * 5000])
def test_what_cannot_be_asked_is_refused_by_name(text: str) -> None:
    """With the field, and what it takes."""
    with pytest.raises(InvalidInput, match=r"status|period|order|from|search"):
        search(QueryParams(text), NOW)


def test_times_are_read_as_date_fields_write_them() -> None:
    """UTC where the text does not say."""
    assert moment("2026-09-21T14:13:20", "from") == NOW
    assert moment("2026-09-21T16:13:20+02:00", "from") == NOW
    assert moment("1790000000000", "from") == NOW
    assert moment("", "from") is None


def test_an_id_is_recognised() -> None:
    """It is gone to instead of looked for."""
    assert search(QueryParams({"q": " 01M3250V000000000000000001 "}), NOW).jump == "01M3250V000000000000000001"
    assert search(QueryParams({"q": "order-1"}), NOW).jump == ""


def test_a_link_keeps_the_other_filters() -> None:
    """One is changed, an empty one is taken away, several of a name stay."""
    pairs = [("status", "Failed"), ("status", "Running"), ("q", "a b"), ("cursor", "x")]
    assert link("/runs", pairs, cursor="") == "/runs?status=Failed&status=Running&q=a+b"
    assert link("/runs", {}, cursor="") == "/runs"
