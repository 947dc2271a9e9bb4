"""Whatever an app sends, `parse_reply` gives a reply whose texts any strict JSON parser reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.messages.ids import StepId
from penstock.runs.replies import OPCODES, Failed, Op, Reply, Returned, Stepped, parse_reply, sleep_until
from tests.property.effort import examples

NOW = 1_790_000_000_000

statuses = st.sampled_from([200, 201, 206, 400, 500, 502]) | st.integers(-1, 10_000)
header_values = st.one_of(
    st.sampled_from(["", "true", "2", "inngest-py:v1", "go:v1", "js:v4", "30", "-0", "2026-09-21T14:14:20Z"]),
    st.dates().map(str),
    st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.text(max_size=40),
)
headers = st.dictionaries(
    st.sampled_from(["x-inngest-sdk", "x-inngest-req-version", "x-inngest-no-retry", "retry-after"]), header_values
)

# JSON as Python writes it: with NaN, infinities, integers of any size and lone surrogates.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {"op": st.sampled_from(OPCODES) | st.text(max_size=12) | values},
    optional={
        name: st.text(max_size=8) | values
        for name in ("id", "name", "displayName", "opts", "data", "error", "timing", "userland")
    },
)
opcodes = st.lists(fields | values, max_size=4) | fields
streams = st.fixed_dictionaries(
    {"status": st.sampled_from([200, 201, 206, 500]) | values},
    optional={
        "body": values | opcodes | (values | opcodes).map(json.dumps),
        "headers": st.dictionaries(st.text(max_size=12), st.text(max_size=12) | st.lists(st.text(max_size=5))) | values,
        "retryAt": header_values | values,
        "noRetry": st.booleans() | values,
    },
)
encoded = (values | opcodes | streams).map(lambda value: json.dumps(value).encode())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON with some bytes cut out, put in, or repeated (which also gives duplicate keys)."""
    text = draw(encoded)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    return text[:start] + draw(st.binary(max_size=6) | st.just(text[start:end] * 2)) + text[end:]


deep = st.builds(
    lambda opening, middle, closing, depth: opening * depth + middle + closing * depth,
    st.sampled_from([b"[", b'{"a":', b'{"error":', b'[{"op":"StepRun","id":"a","data":', b'{"status":201,"body":']),
    st.sampled_from([b"", b"1", b"null", b'"\\ud800"']),
    st.sampled_from([b"]", b"}", b"}]", b""]),
    st.sampled_from([1, 2, 3, 4, 200, 255, 900, 1000, 1024, 1025, 5000, 50_000]),
)
bodies = encoded | damaged() | deep | st.binary(max_size=200)


def texts(reply: Reply) -> list[str]:
    """All JSON texts in a reply."""
    match reply:
        case Returned(output):
            return [output]
        case Failed(error):
            return [error]
        case Stepped(ops):
            return [text for op in ops for text in (op.data, op.error) if text is not None]


def assert_fit_to_store(reply: Reply) -> None:
    for text in texts(reply):
        orjson.loads(text)
    if isinstance(reply, Failed):
        error: dict[str, Any] = orjson.loads(reply.error)
        assert isinstance(error["name"], str)
        assert isinstance(error["message"], str)
    if not isinstance(reply, Returned):
        assert reply.retry_at is None or NOW < reply.retry_at <= NOW + 86_400_000
    if isinstance(reply, Stepped):
        for op in reply.ops:
            for text in (op.op, op.id, op.name, op.target):
                text.encode()
            assert isinstance(op.opts, Mapping)
            error_text = op.error
            assert error_text is None or {"name", "message"} <= orjson.loads(error_text).keys()


@given(statuses, headers, bodies)
@example(206, {}, b'[{"op":"StepRun","id":"a","data":' + b"[" * 1000 + b"]" * 1000 + b"}]")
@example(201, {"x-inngest-sdk": "x"}, b'{"status":201,"body":' * 300 + b"1" + b"}" * 300)
@example(500, {"x-inngest-sdk": "x"}, b'{"a":' * 1000 + b"1" + b"}" * 1000)
@example(206, {}, b'[{"op":"StepError","id":"a","error":' + b'{"a":' * 990 + b"1" + b"}" * 990 + b"}]")
@example(206, {}, b'[{"op":"StepRun","id":"a","op":"Sleep","id":"b","data":1,"data":2}]')
@example(200, {"x-inngest-sdk": "x"}, b'"\\ud800\\')
@settings(max_examples=examples(1500), deadline=None)
def test_any_answer_is_a_reply(status: int, sent: dict[str, str], body: bytes) -> None:
    """No status, header or body raises, and what comes out can be stored, shown and sent back to the app."""
    assert_fit_to_store(parse_reply(status, sent, body, NOW))


@given(st.binary(max_size=100), headers)
@settings(max_examples=examples(500), deadline=None)
def test_any_bytes_are_a_reply(body: bytes, sent: dict[str, str]) -> None:
    """Bytes that are nothing in particular, under every status that has a meaning."""
    for status in (200, 201, 206, 500):
        assert_fit_to_store(parse_reply(status, {**sent, "x-inngest-sdk": "x"}, body, NOW))


@given(values.map(lambda value: json.dumps(value, ensure_ascii=False)))
def test_valid_return_value_is_unchanged(text: str) -> None:
    """JSON that a strict parser takes goes through without a changed byte."""
    try:
        orjson.loads(text)
    except ValueError:
        return
    assert parse_reply(200, {"x-inngest-sdk": "x"}, text.encode(), NOW) == Returned(text, None)


@given(
    st.text(max_size=30) | st.datetimes().map(str), st.dictionaries(st.just("duration"), values), st.integers(0, 2**45)
)
def test_any_sleep_has_an_end_or_an_error(target: str, opts: dict[str, object], now: int) -> None:
    """Never in the past, never an exception."""
    until = sleep_until(Op("Sleep", StepId("a"), target, target, opts), now)
    if isinstance(until, Failed):
        assert until.no_retry
        orjson.loads(until.error)
    else:
        assert now <= until <= now + 366 * 86_400_000
