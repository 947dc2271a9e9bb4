"""Bulk cancellations: what is read, what is refused, what is written, what clients see."""

from __future__ import annotations

import orjson
import pytest

from penstock.errors import InvalidInput
from penstock.functions.table import Forgotten, FunctionTable
from penstock.ingest.cancellations import (
    DAY_MS,
    KEPT_MS,
    MAX_CANCELLATIONS,
    CancellationRequest,
    plan,
    read_request,
    shape,
)
from penstock.messages.ids import FunctionKey
from penstock.messages.records import Cancellation

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z
KEY = FunctionKey("shop/shop-import")


def sent(**changes: object) -> bytes:
    whole = {"app_id": "shop", "function_id": "import", "started_before": "2026-09-21T13:00:00Z"}
    return orjson.dumps({key: value for key, value in (whole | changes).items() if value is not ...})


def cancellation(id_: str, created_at: int = NOW, started_before: int = NOW) -> Cancellation:
    return Cancellation(id_, KEY, started_before, created_at)


def test_what_is_read() -> None:
    """Times in any ISO 8601 form, in UTC without an offset; the condition as it was written."""
    body = sent(started_after="2026-09-20T15:00:00.5+02:00", **{"if": "event.data.n == 1"})
    assert read_request(body, NOW) == CancellationRequest(
        app="shop",
        function="import",
        started_after=1_789_909_200_500,
        started_before=1_789_995_600_000,
        condition="event.data.n == 1",
    )
    assert read_request(sent(started_before="2026-09-21T13:00:00"), NOW).started_before == 1_789_995_600_000
    assert read_request(sent(**{"if": None}), NOW).condition == ""


def test_runs_that_start_soon_may_be_meant() -> None:
    """A time ahead is fine, within a year."""
    assert read_request(sent(started_before="2026-10-21T13:00:00Z"), NOW).started_before > NOW
    with pytest.raises(InvalidInput, match="more than a year ahead"):
        read_request(sent(started_before="2028-10-21T13:00:00Z"), NOW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "JSON object"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (sent(app_id=...), "app_id"),
        (sent(function_id=5), "function_id"),
        (sent(started_before=...), "started_before: expected an ISO 8601 time"),
        (sent(started_before=1_789_995_600_000), "started_before: expected an ISO 8601 time"),
        (sent(started_before="yesterday"), "yesterday"),
        (sent(started_before="1960-01-01"), "started_before"),
        (sent(started_before="0001-01-01T00:00:00+14:00"), "started_before"),
        (sent(started_after="x"), "started_after"),
        (sent(started_after="2026-09-21T13:00:00Z"), "must be before started_before"),
        (sent(**{"if": 5}), "if: expected a CEL expression"),
        (sent(**{"if": "event.data.n =="}), "does not compile: not a CEL expression"),
        (sent(**{"if": "order.n == 1"}), "undeclared reference to 'order'"),
    ],
)
def test_what_is_refused(body: bytes, reason: str) -> None:
    """The message names the key, and says what the compiler says."""
    with pytest.raises(InvalidInput) as refused:
        read_request(body, NOW)
    assert reason in str(refused.value)


def test_what_is_long_past_is_forgotten() -> None:
    """When a new one is made: a tombstone for each that no owner looks at any more."""
    table = FunctionTable()
    for offset, each in enumerate(
        [
            cancellation("01", NOW - KEPT_MS - 1, NOW - KEPT_MS - 1),
            cancellation("02", NOW - KEPT_MS - 1, NOW - DAY_MS),
            cancellation("03", NOW - DAY_MS, NOW - 2 * KEPT_MS),
        ]
    ):
        table.apply(each, offset)
    wanted = cancellation("04")
    assert plan(table, wanted, NOW) == (Forgotten("cancellation/01"), wanted)


def test_there_is_a_most() -> None:
    """Each is held by every service and looked at for every start of its function."""
    table = FunctionTable()
    for number in range(MAX_CANCELLATIONS):
        table.apply(cancellation(f"{number:05}"), number)
    with pytest.raises(InvalidInput, match="delete some"):
        plan(table, cancellation("x"), NOW)


def test_what_clients_see() -> None:
    """Times as text; what is not set is null; a function that is gone is still named."""
    seen = shape(Cancellation("01", KEY, NOW, NOW, 0, ""), FunctionTable())
    assert seen["function_id"] == "shop-import"
    assert seen["started_before"] == "2026-09-21T14:13:20.000Z"
    assert (seen["started_after"], seen["if"]) == (None, None)
