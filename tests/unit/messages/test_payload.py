"""Payloads within their limits, from text and from values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from penstock.errors import UndecodableRecord
from penstock.messages.payload import PayloadLimits, checked_text, parse_json, payload_text

LIMITS = PayloadLimits(max_bytes=1000, max_depth=5)


@pytest.mark.parametrize("text", ["{}", "null", '{"a": [1, {"b": null}]}', '{"a":"\\u00e9"}'])
def test_text_is_kept_as_it_came(text: str) -> None:
    """An object or null is passed on without a change, spaces and escapes included."""
    assert checked_text(text, "data", LIMITS, keep_reserved=False) is text


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "true"])
def test_other_values_are_refused(text: str) -> None:
    """The error says what to do."""
    with pytest.raises(UndecodableRecord, match=r"data must be an object or null.*wrap it in an object"):
        checked_text(text, "data", LIMITS, keep_reserved=False)


@pytest.mark.parametrize("text", ["", "{", '{"a":NaN}', '{"a":"\\ud800"}', "{}{}"])
def test_broken_text_is_refused(text: str) -> None:
    """Not JSON, or JSON that not every reader takes."""
    with pytest.raises(UndecodableRecord, match="data is not valid JSON"):
        checked_text(text, "data", LIMITS, keep_reserved=False)


def test_the_systems_key_is_taken_out() -> None:
    """Only the system may say `_inngest`; escapes do not hide it."""
    assert checked_text('{"_inngest":{"x":1},"a":1}', "data", LIMITS, keep_reserved=False) == '{"a":1}'
    assert checked_text('{"\\u005finngest":1,"a":1}', "data", LIMITS, keep_reserved=False) == '{"a":1}'
    assert payload_text({"_inngest": 1}, "data", LIMITS) == "{}"
    assert "_inngest" in checked_text('{"_inngest":1}', "data", LIMITS, keep_reserved=True)


@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_the_size_is_measured_in_bytes(letter: str) -> None:
    """As many bytes as allowed pass, one more does not."""
    fits = '{"a":"' + letter * ((1000 - 8) // len(letter.encode())) + '"}'
    assert checked_text(fits, "data", LIMITS, keep_reserved=False) == fits
    with pytest.raises(UndecodableRecord, match=r"larger than .* MiB: store it elsewhere"):
        checked_text(fits[:-2] + "x" * 10 + '"}', "data", LIMITS, keep_reserved=False)


def nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


def test_depth_is_bounded() -> None:
    """Five levels pass, six do not; many values side by side are not deep."""
    assert parse_json(nested(6), "data", LIMITS) is not None
    with pytest.raises(UndecodableRecord, match="data nests deeper than 5 levels"):
        parse_json(nested(7), "data", LIMITS)
    assert parse_json("[" + ",".join(["[]"] * 50) + "]", "data", LIMITS) == [[]] * 50


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 1000 + "]" * 1000])
def test_depth_costs_no_stack(text: str) -> None:
    """Text that opens without end is an error, not a crash."""
    with pytest.raises(UndecodableRecord):
        parse_json(text, "data", LIMITS)


def test_values_of_other_encodings_become_json() -> None:
    """Bytes become base64, decimals exact numbers, times RFC 3339, what JSON cannot say null."""
    value = {
        "bytes": b"\0\xff",
        "decimal": Decimal("12.50"),
        "huge": Decimal("1E+400"),
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "uuid": UUID(int=1),
        "nan": float("nan"),
        "tuple": (1, 2),
    }
    text = payload_text(value, "data", LIMITS)
    assert '"decimal":12.50' in text
    assert json.loads(text) == {
        "bytes": "AP8=",
        "decimal": 12.5,
        "huge": "1E+400",
        "time": "2026-01-02T03:04:05+00:00",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "nan": None,
        "tuple": [1, 2],
    }


def test_what_cannot_be_written_is_refused() -> None:
    """Keys that are no text, for example."""
    with pytest.raises(UndecodableRecord, match="data cannot be written as JSON"):
        payload_text({1: 2}, "data", LIMITS)
