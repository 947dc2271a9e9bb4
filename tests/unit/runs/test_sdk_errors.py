"""Errors as apps send them become objects with `name` and `message`, and stay what they were."""

from __future__ import annotations

import orjson
import pytest

from penstock.runs.sdk_errors import MAX_MESSAGE, error_object, fatal_error


@pytest.mark.parametrize(
    "text",
    [
        '{"code":"unknown","name":"ValueError","message":"no","stack":"line 1\\nline 2"}',
        '{ "message": "m", "name": "Step error", "data": {"big": 123456789012345678901, "f": 1.10}, "cause": null }',
        '{"name":"","message":""}',
    ],
)
def test_error_object_stays_as_sent(text: str) -> None:
    """To the byte: user code finds its data and cause again."""
    assert error_object(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"message":"m","n":1.10}', '{"message":"m","n":1.10,"name":"Error"}'),
        ('{"name":"N","message":null}', '{"name":"N","message":"{\\"name\\":\\"N\\",\\"message\\":null}"}'),
        ('{"error":"no such function"}', '{"error":"no such function","name":"Error","message":"no such function"}'),
        ('{"name":7,"message":"m"}', '{"name":"Error","message":"m"}'),
        ("{}", '{"name":"Error","message":"{}"}'),
    ],
)
def test_what_an_object_lacks_is_put_in(text: str, expected: str) -> None:
    """Its other fields stay as they were sent."""
    assert error_object(text) == expected


@pytest.mark.parametrize(
    ("text", "message"), [('"boom"', "boom"), ("[1]", "[1]"), ("null", "null"), ('"{not json"', "{not json")]
)
def test_any_other_value_is_the_message(text: str, message: str) -> None:
    """A string, a list, nothing."""
    assert orjson.loads(error_object(text)) == {"name": "Error", "message": message}


def test_error_that_was_encoded_twice_is_unwrapped() -> None:
    """JSON text in a JSON string."""
    inner = '{"name":"E","message":"m","stack":"s"}'
    assert error_object(orjson.dumps(inner).decode()) == inner


def test_message_is_bounded() -> None:
    """A page of HTML is not repeated in every place where the error is shown."""
    assert len(orjson.loads(error_object(f'"{"x" * 100_000}"'))["message"]) == MAX_MESSAGE
    assert len(orjson.loads(fatal_error(502, b"x" * 100_000))["message"]) < MAX_MESSAGE + 100


@pytest.mark.parametrize(
    ("body", "message"),
    [(b" <h1>Bad gateway</h1>\n", "<h1>Bad gateway</h1>"), (b"", "empty body"), (b"\xff", "\ufffd")],
)
def test_answer_of_no_sdk_is_a_fatal_error(body: bytes, message: str) -> None:
    """A proxy's answer is shown under the name that users of these SDKs know."""
    assert orjson.loads(fatal_error(502, body)) == {
        "name": "Server returned a fatal error",
        "message": f"HTTP status 502: {message}",
    }


def test_a_large_error_does_not_grow() -> None:
    """An error as large as an answer may be must still fit into a record of the changelog."""
    text = orjson.dumps({"error": "x" * 7_000_000}).decode()
    assert len(error_object(text)) < 7_000_000 + 2 * MAX_MESSAGE
