"""What an app answered, as values: every status, opcode, header and limit of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from penstock.messages.ids import StepId
from penstock.runs.replies import (
    MAX_NAME,
    MAX_OPS,
    MAX_RESPONSE_BYTES,
    MAX_SLEEP_MS,
    MAX_STEP_ID,
    MAX_STEP_OUTPUT_BYTES,
    OPCODES,
    Failed,
    Op,
    Reply,
    Returned,
    Stepped,
    parse_reply,
    response_too_large,
    sleep_until,
    unreachable,
)

NOW = 1_790_000_000_000
PY = {"x-inngest-sdk": "inngest-py:v0.5.19", "x-inngest-req-version": "2"}
GO = {"x-inngest-sdk": "go:v0.16.0", "x-inngest-req-version": "2"}


def reply(status: int, body: bytes | str, headers: Mapping[str, str] = PY, **more: str) -> Reply:
    sent = {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}
    return parse_reply(status, sent, body if isinstance(body, bytes) else body.encode(), NOW)


def error(answer: Reply | int) -> dict[str, Any]:
    assert isinstance(answer, Failed)
    decoded: dict[str, Any] = orjson.loads(answer.error)
    return decoded


def only_op(body: str) -> Op:
    answer = reply(206, body)
    assert isinstance(answer, Stepped), answer
    (op,) = answer.ops
    return op


# 200


@pytest.mark.parametrize(
    "text", ['{"a": 1.0, "big": 123456789012345678901, "f": 0.1000}', '"text"', "null", "[]", "0", '"\\u00e9 \\n"']
)
def test_return_value_is_kept_as_sent(text: str) -> None:
    """Any JSON, with the digits it came with."""
    assert reply(200, text) == Returned(text, 2)


def test_whitespace_around_a_return_value_is_dropped() -> None:
    """Go ends its bodies with a newline."""
    assert reply(200, "\n {} \n") == Returned("{}", 2)


def test_nothing_returned_is_null() -> None:
    """An empty body is the return value of a function without one."""
    assert reply(200, "") == Returned("null", 2)


def test_200_of_something_else_than_an_sdk_fails() -> None:
    """A web page at the app's URL must not complete runs. A later attempt may find the app."""
    answer = reply(200, "<html>", {})
    assert error(answer)["name"] == "not_sdk"
    assert "x-inngest-sdk" in error(answer)["message"]
    assert answer == Failed(answer.error, no_retry=False)  # type: ignore[union-attr]


@pytest.mark.parametrize("body", [b"NaN", b"{", b"\xff", b'{"a":1e999}', b"[" * 5000 + b"]" * 5000, b"01", b"1 2"])
def test_return_value_that_is_no_json_fails(body: bytes) -> None:
    """The message says what is wrong and what was sent."""
    answer = error(reply(200, body))
    assert answer["name"] == "InvalidReply"
    assert answer["message"].startswith("the app's answer is not JSON (")


def test_lone_surrogate_becomes_a_replacement_character() -> None:
    """JavaScript has such strings, strict parsers refuse them; pairs and escaped backslashes are left alone."""
    sent = rb'["\ud83d\ude00", "\\ud800", "a\ud800b\DC00"]'.replace(rb"\DC00", rb"\udc00")
    assert reply(200, sent) == Returned(r'["\ud83d\ude00", "\\ud800", "a\ufffdb\ufffd"]', 2)


# 206


def test_opcode_has_all_its_fields() -> None:
    """Display name for people, name and options for the server, data and error as text."""
    op = only_op(
        '[{"op":"WaitForEvent","id":"ab12","name":"shop/paid","displayName":"wait for pay","opts":{"timeout":"1d"},'
        '"data":{"x": 1.0},"error":{"name":"E","message":"m","data":{"n":1.0}},"timing":{},"userland":{"id":"w"}}]'
    )
    assert op == Op(
        "WaitForEvent",
        StepId("ab12"),
        "wait for pay",
        "shop/paid",
        {"timeout": "1d"},
        '{"x": 1.0}',
        '{"name":"E","message":"m","data":{"n":1.0}}',
    )


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ('"displayName":"d","name":"n"', "d"),
        ('"displayName":null,"name":"n"', "n"),
        ('"displayName":"","name":"n"', "n"),
        ('"name":null', "ab12"),
    ],
)
def test_display_name_falls_back_to_name_and_id(fields: str, name: str) -> None:
    """A step always has a name to show."""
    assert only_op(f'[{{"op":"StepRun","id":"ab12",{fields}}}]').name == name


@pytest.mark.parametrize("name", OPCODES)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_opcode_names_are_read_in_any_case(name: str, spell: Any) -> None:
    """`AIGateway` and `AiGateway` are the same."""
    assert only_op(f'[{{"op":"{spell(name)}","id":"ab12"}}]').op == name


def test_unknown_opcode_is_kept() -> None:
    """The run will fail with its name, not silently go on."""
    assert only_op('[{"op":"TeleportStep"}]').op == "TeleportStep"


def test_opcodes_keep_their_order() -> None:
    """As the function named them."""
    answer = reply(206, '[{"op":"StepPlanned","id":"b"},{"op":"StepPlanned","id":"a"},{"op":"None"}]')
    assert isinstance(answer, Stepped)
    assert [op.id for op in answer.ops] == ["b", "a", ""]


@pytest.mark.parametrize("body", ["[]", "null"])
def test_no_opcodes_at_all(body: str) -> None:
    """An empty list, as TypeScript writes it, or as Go does."""
    assert reply(206, body) == Stepped((), request_version=2)


def test_single_object_is_a_list_of_one() -> None:
    """TypeScript's durable endpoints answer so."""
    assert only_op('{"op":"RunComplete","data":{"ok":true}}') == Op("RunComplete", StepId(""), data='{"ok":true}')


def test_null_and_absent_data_differ() -> None:
    """`null` is a value."""
    assert only_op('[{"op":"StepRun","id":"a","data":null}]').data == "null"
    assert only_op('[{"op":"StepRun","id":"a"}]').data is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("null", None),
        (
            '{"name":"E","message":"m","code":"c","cause":{"a":1.0}}',
            '{"name":"E","message":"m","code":"c","cause":{"a":1.0}}',
        ),
        ('{"message":"m"}', '{"message":"m","name":"Error"}'),
        ('"boom"', '{"name":"Error","message":"boom"}'),
    ],
)
def test_step_errors_are_objects(sent: str, kept: str | None) -> None:
    """SDKs read `name` and `message` of a remembered error; everything else stays."""
    assert only_op(f'[{{"op":"StepError","id":"a","error":{sent}}}]').error == kept


@pytest.mark.parametrize("opts", ["null", "[]", '"x"', "7"])
def test_options_that_are_no_object_are_none(opts: str) -> None:
    """Python writes null."""
    assert only_op(f'[{{"op":"StepRun","id":"a","opts":{opts}}}]').opts == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('["a"]', "status 206 carries no list of opcodes: Expected `object`, got `str` - at `$[0]`"),
        ('[{"id":"a"}]', "missing required field `op`"),
        ('[{"op":7}]', "Expected `str`, got `int` - at `$[0].op`"),
        ('[{"op":"StepRun"}]', "an opcode StepRun came without an id"),
        ('[{"op":"Sleep","id":""}]', "an opcode Sleep came without an id"),
        (f'[{{"op":"StepRun","id":"{"a" * (MAX_STEP_ID + 1)}"}}]', "an id of 257 characters; 256 are allowed"),
        ("7", "status 206 carries no list of opcodes"),
        ("", "not JSON"),
        ("[{", "not JSON"),
    ],
)
def test_broken_opcodes_fail_the_call(body: str, message: str) -> None:
    """Nothing of such an answer is taken; the message names the place."""
    answer = reply(206, body)
    assert error(answer)["name"] == "InvalidReply"
    assert message in error(answer)["message"]
    assert not answer.no_retry  # type: ignore[union-attr]


@pytest.mark.parametrize("depth", [980, 1000, 1015])
@pytest.mark.parametrize(
    ("status", "opening", "closing"),
    [
        (206, '[{"op":"StepRun","id":"a","data":', "}]"),
        (206, '[{"op":"StepError","id":"a","error":', "}]"),
        (201, '{"status":200,"body":', "}"),
        (500, "", ""),
    ],
)
def test_nesting_as_deep_as_json_allows_does_not_crash(status: int, opening: str, closing: str, depth: int) -> None:
    """Deeper than can be walked is a failure, or taken as text; never an exception."""
    answer = reply(status, opening + '{"a":' * depth + "1" + "}" * depth + closing)
    assert isinstance(answer, Stepped | Returned | Failed)


def test_names_are_bounded() -> None:
    """A display name is for people."""
    assert len(only_op(f'[{{"op":"StepRun","id":"a","name":"{"n" * 5000}"}}]').name) == MAX_NAME
    assert len(only_op(f'[{{"op":"{"n" * 5000}"}}]').op) == MAX_NAME


# errors


def test_error_body_of_an_sdk_is_kept() -> None:
    """Also its field `code`: the run's output on failure is the SDK's error body."""
    body = '{"code":"unknown","name":"ValueError","message":"no","stack":"at 1"}'
    assert reply(500, body) == Failed(body, request_version=2)


@pytest.mark.parametrize("status", [100, 202, 204, 301, 400, 401, 404, 410, 499, 500, 503, 599])
def test_every_other_status_is_a_failure(status: int) -> None:
    """4xx are retried as well; a body that is no JSON is the message."""
    assert reply(status, "sorry") == Failed('{"name":"Error","message":"sorry"}', request_version=2)


def test_failure_without_a_body_names_the_status() -> None:
    """There is always something to read."""
    assert error(reply(503, ""))["message"] == "the app answered with status 503"


def test_failure_that_no_sdk_wrote_is_a_fatal_error() -> None:
    """Even if it looks like an SDK's error."""
    assert error(reply(502, '{"name":"x","message":"y"}', {}))["name"] == "Server returned a fatal error"


@pytest.mark.parametrize("status", [200, 206, 500])
def test_no_retry_counts_on_any_status(status: int) -> None:
    """Only the word true says it; a value has nothing to be retried."""
    for text, meant in (("true", True), ("True", True), ("false", False), ("1", False)):
        answer = reply(status, "[]", x_inngest_no_retry=text)
        assert isinstance(answer, Returned) or answer.no_retry is meant


@pytest.mark.parametrize("status", [206, 500])
def test_retry_after_is_read(status: int) -> None:
    """The app decides when it wants to be called again."""
    answer = reply(status, "[]", retry_after="90")
    assert not isinstance(answer, Returned)
    assert answer.retry_at == NOW + 90_000


def test_retry_headers_count_when_the_body_cannot_be_used() -> None:
    """What is wrong with the body says nothing about the headers."""
    answer = reply(206, "{", retry_after="90", x_inngest_no_retry="true")
    assert isinstance(answer, Failed)
    assert (answer.no_retry, answer.retry_at, answer.request_version) == (True, NOW + 90_000, 2)


@pytest.mark.parametrize(
    ("text", "version"), [("1", 1), (" 2 ", 2), ("", None), ("0", None), ("-1", None), ("x", None)]
)
def test_request_version_is_a_small_positive_number(text: str, version: int | None) -> None:
    """0 would make the TypeScript SDK throw when it is sent back."""
    assert reply(200, "1", x_inngest_req_version=text) == Returned("1", version)


# limits


def test_largest_allowed_sizes_pass() -> None:
    """A response of 8 MiB, a step output of 4 MiB, 1,000 steps at once."""
    assert isinstance(reply(200, b'"' + b"a" * (MAX_RESPONSE_BYTES - 2) + b'"'), Returned)
    data = '"' + "a" * (MAX_STEP_OUTPUT_BYTES - 2) + '"'
    assert only_op(f'[{{"op":"StepRun","id":"a","data":{data}}}]').data == data
    ops = ",".join(f'{{"op":"StepPlanned","id":"{n}"}}' for n in range(MAX_OPS))
    assert len(reply(206, f"[{ops}]").ops) == MAX_OPS  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [200, 201, 206, 500])
def test_response_over_the_limit_fails_for_good(status: int) -> None:
    """The same call would give the same again."""
    answer = reply(status, b'"' + b"a" * (MAX_RESPONSE_BYTES - 1) + b'"')
    assert error(answer) == error(response_too_large())
    assert error(answer)["name"] == "OutputTooLarge"
    assert "8 MiB" in error(answer)["message"]
    assert answer.no_retry  # type: ignore[union-attr]


def test_step_output_over_the_limit_fails_for_good() -> None:
    """4 MiB a step; the function's own result may be as large as the response."""
    data = '"' + "a" * (MAX_STEP_OUTPUT_BYTES - 1) + '"'
    answer = reply(206, f'[{{"op":"StepRun","id":"a","data":{data}}}]')
    assert "output of a step is larger than the 4 MiB" in error(answer)["message"]
    assert answer.no_retry  # type: ignore[union-attr]
    assert only_op(f'[{{"op":"RunComplete","data":{data}}}]').data == data


def test_too_many_steps_at_once_fail_for_good() -> None:
    """1,001 opcodes."""
    ops = ",".join(f'{{"op":"StepPlanned","id":"{n}"}}' for n in range(MAX_OPS + 1))
    answer = reply(206, f"[{ops}]")
    assert error(answer)["name"] == "InngestErrFunctionOverflowed"
    assert answer.no_retry  # type: ignore[union-attr]


# 201


def test_streamed_answer_is_unwrapped() -> None:
    """TypeScript sends spaces until it knows, then the answer, its body encoded twice."""
    inner = '[{"op":"StepRun","id":"a","data":{"n": 1.0}}]'
    wrapped = orjson.dumps({"status": 206, "body": inner, "headers": {"X-Inngest-Req-Version": "1"}}).decode()
    answer = reply(201, "   \n  " + wrapped)
    assert answer == Stepped((Op("StepRun", StepId("a"), "a", data='{"n": 1.0}'),), request_version=1)


def test_streamed_body_may_be_plain_json() -> None:
    """Go encodes once; the digits of its numbers stay."""
    assert reply(201, '{"status":200,"body":{"n": 1.0}}', GO) == Returned('{"n": 1.0}', 2)
    assert reply(201, '{"status":200}', GO) == Returned("null", 2)


@pytest.mark.parametrize(("headers", "output"), [(PY, "123"), (GO, '"123"')])
def test_streamed_string_is_decoded_once_more_but_for_go(headers: dict[str, str], output: str) -> None:
    """A string that a Go function returned stays a string."""
    assert reply(201, '{"status":200,"body":"123"}', headers) == Returned(output, 2)


def test_streamed_string_that_holds_no_json_stays_a_string() -> None:
    """It is the return value."""
    assert reply(201, '{"status":200,"body":"hello"}') == Returned('"hello"', 2)


def test_go_says_in_the_wrapper_when_to_retry() -> None:
    """`retryAt` and `noRetry` stand beside status and body."""
    answer = reply(201, '{"status":500,"body":{"message":"m"},"retryAt":"2026-09-21T14:14:20Z","noRetry":true}', GO)
    assert answer == Failed('{"message":"m","name":"Error"}', no_retry=True, retry_at=NOW + 60_000, request_version=2)


def test_streamed_error_has_the_headers_of_the_wrapper() -> None:
    """Names in any case, values also as lists."""
    wrapped = {"status": 500, "body": "no", "headers": {"Retry-After": ["30"], "X-Inngest-No-Retry": "true"}}
    answer = reply(201, orjson.dumps(wrapped))
    assert answer == Failed('{"name":"Error","message":"no"}', True, NOW + 30_000, 2)


def test_nested_streams_are_unwrapped_and_bounded() -> None:
    """One in the other happens; a chain of them is refused."""
    once = {"status": 201, "body": {"status": 200, "body": 7}}
    assert reply(201, orjson.dumps(once)) == Returned("7", 2)
    assert (
        "nested more than 3 times"
        in error(reply(201, orjson.dumps({"status": 201, "body": {"status": 201, "body": once}})))["message"]
    )


@pytest.mark.parametrize(
    ("body", "headers", "name"),
    [
        ("   \n", PY, "InvalidReply"),
        ('{"status":200,"bo', PY, "InvalidReply"),
        ('{"body":1}', PY, "InvalidReply"),
        ('{"status":"200"}', PY, "InvalidReply"),
        ('{"id":5}', {}, "not_sdk"),
        ('{"status":200,"body":1}', {}, "not_sdk"),
    ],
)
def test_broken_stream_fails(body: str, headers: dict[str, str], name: str) -> None:
    """An app that stops in the middle, or another service that answers 201."""
    assert error(reply(201, body, headers))["name"] == name


# no answer at all


def test_unreachable_app_is_worth_a_retry() -> None:
    """The reason is the message, whatever characters it has."""
    answer = unreachable("calling app 'shop' failed: \ud800")
    assert not answer.no_retry
    assert error(answer)["message"] == "calling app 'shop' failed: ?"


# sleeps


def sleep(target: str = "", **opts: object) -> Op:
    return Op("Sleep", StepId("a"), "nap", target, opts)


@pytest.mark.parametrize(
    ("op", "delay"),
    [
        (sleep(duration="1m30s"), 90_000),
        (sleep("30s"), 30_000),
        (sleep("ignored", duration="2h"), 7_200_000),
        (sleep("2026-09-21T14:14:20Z"), 60_000),
        (sleep("2026-09-21T14:14:20.250+00:00"), 60_250),
        (sleep(duration="2026-09-21T14:14:20.000Z"), 60_000),
        (sleep("2026-09-22"), 35_200_000),
        (sleep("1500000us"), 1_500),
        (sleep("1us"), 1),
        (sleep("366d"), MAX_SLEEP_MS),
    ],
)
def test_sleep_ends_at_a_date_or_after_a_duration(op: Op, delay: int) -> None:
    """Go says it in the options, Python and TypeScript in the name; fractions of a millisecond count as one."""
    assert sleep_until(op, NOW) == NOW + delay


@pytest.mark.parametrize("op", [sleep("2020-01-01T00:00:00Z"), sleep("-5s"), sleep("0s"), sleep("1969-12-31")])
def test_past_is_now(op: Op) -> None:
    """A sleep that is over ends at once."""
    assert sleep_until(op, NOW) == NOW


@pytest.mark.parametrize(
    ("op", "why"),
    [
        (sleep("soon"), "'soon' is not a duration"),
        (sleep(), "'' is not a duration"),
        (sleep("367d"), "more than 366 days"),
        (sleep("2036-01-01T00:00:00Z"), "more than 366 days"),
        (sleep("99999999w"), "ten years"),
        (sleep(duration=30), "not text"),
        (sleep("--5s"), "not a duration"),
    ],
)
def test_sleep_that_cannot_be_scheduled_fails_for_good(op: Op, why: str) -> None:
    """The same code would ask for the same again; the message names the sleep."""
    answer = sleep_until(op, NOW)
    assert why in error(answer)["message"]
    assert "'nap'" in error(answer)["message"]
    assert answer.no_retry  # type: ignore[union-attr]
