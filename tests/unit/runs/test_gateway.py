"""Requests that the server makes for a step: what is asked for, and what is remembered."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from penstock.errors import InvalidInput
from penstock.messages.ids import JobId, RunId, StepId
from penstock.messages.records import JobScheduled
from penstock.runs.details import detail, shown
from penstock.runs.gateway import (
    MAX_BODY_BYTES,
    MAX_HEADERS,
    MAX_RESPONSE_BYTES,
    MAX_URL,
    Again,
    Memo,
    OutboundRequest,
    outbound_request,
    refusal,
    request_memo,
    shown_url,
)
from penstock.runs.outcomes import NotSent, Outcome, Responded

NOW = 1_790_000_000_000
URL = "https://api.example.com/v1/chat"


def memo(op: str, outcome: Outcome) -> Memo:
    """What the last attempt leaves."""
    found = request_memo(op, {"url": URL}, outcome, last=True, now=NOW)
    assert isinstance(found, Memo)
    return found


def content(found: Memo) -> Any:
    return orjson.loads(found.output)


def ai(**opts: object) -> OutboundRequest:
    return outbound_request("AIGateway", {"url": URL, "auth_key": "k3y", "body": {"model": "m"}, **opts})


def fetch(**opts: object) -> OutboundRequest:
    return outbound_request("Gateway", {"url": URL, **opts})


@pytest.mark.parametrize(
    ("api_format", "expected"),
    [
        ("openai-chat", {"authorization": "Bearer k3y"}),
        ("", {"authorization": "Bearer k3y"}),
        ("grok", {"authorization": "Bearer k3y"}),
        ("anthropic", {"x-api-key": "k3y"}),
        ("bedrock", {"authorization": "k3y"}),
        ("gemini", {}),
    ],
)
def test_each_api_gets_its_key_as_it_wants_it(api_format: str, expected: dict[str, str]) -> None:
    """The key stands where the format says; the body is sent as JSON, by POST."""
    request = ai(format=api_format)
    assert request.headers == {"content-type": "application/json", **expected}
    assert (request.method, request.body) == ("POST", b'{"model":"m"}')


@pytest.mark.parametrize("url", [URL, f"{URL}?key=k3y", f"{URL}?key=old"])
def test_gemini_gets_its_key_in_the_query_once(url: str) -> None:
    """Some SDKs put the key into the URL already."""
    assert ai(format="gemini", url=url).url == f"{URL}?key=k3y"


def test_headers_of_the_options_win() -> None:
    """Headers are added to those that the format asks for, and replace them whatever their case."""
    request = ai(format="anthropic", headers={"anthropic-version": "2023-06-01", "X-API-Key": "other"})
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["x-api-key"] == "other"


def test_without_a_key_there_is_no_header_for_it() -> None:
    """A local model needs none."""
    assert "authorization" not in ai(auth_key=None).headers


def test_fetch_sends_what_it_is_told() -> None:
    """Method, headers and text are sent as given; what belongs to the connection is left to the sender."""
    request = fetch(
        method="put", headers={"X-One": " 1 ", "Host": "elsewhere", "Content-Length": "9", "te": "x"}, body="à"
    )
    assert request == OutboundRequest("PUT", URL, {"x-one": "1"}, "à".encode(), "api.example.com")
    assert fetch().method == "POST"
    assert fetch(method="GET", headers=None, body=None).body == b""


@pytest.mark.parametrize(
    ("opts", "reason"),
    [
        ({"url": None}, "url is missing"),
        ({"url": 7}, "url must be text"),
        ({"url": "ftp://example.com/"}, "http or https"),
        ({"url": "//example.com/"}, "http or https"),
        ({"url": "https://"}, "http or https"),
        ({"url": "http://[::1"}, "cannot be read"),
        ({"url": "http://a.example/ b"}, "without spaces"),
        ({"url": "http://a.example/\r\nx: y"}, "without spaces"),
        ({"url": "http://a.example/" + "a" * MAX_URL}, "8192 are allowed"),
        ({"method": "CONNECT"}, "'CONNECT' cannot be sent"),
        ({"method": "GET /x"}, "cannot be sent"),
        ({"headers": ["a"]}, "headers must be an object"),
        ({"headers": {"a": 1}}, "'a' must be text"),
        ({"headers": {"a b": "1"}}, "not the name"),
        ({"headers": {"a": "1\r\nb: 2"}}, "printable ASCII"),
        ({"headers": {f"x-{n}": "" for n in range(MAX_HEADERS + 1)}}, "100 of 32768 are allowed"),
        ({"headers": {"a": "x" * 40_000}}, "100 of 32768 are allowed"),
        ({"body": {"a": 1}}, "body must be text"),
        ({"body": "a" * (MAX_BODY_BYTES + 1)}, "4 MiB"),
        ({"publish": {"channel": "c", "topic": "t"}}, "publish"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(opts: dict[str, object], reason: str) -> None:
    """An option that cannot be used is named, and user code may catch the step's error."""
    with pytest.raises(InvalidInput, match=reason) as refused:
        fetch(**opts)
    failed = memo("Gateway", refusal(refused.value))
    assert failed.failed
    assert content(failed)["error"]["name"] == "GatewayError"
    assert reason in content(failed)["error"]["message"]
    assert isinstance(request_memo("Gateway", opts, refusal(refused.value), last=False), Memo), "never tried again"


@pytest.mark.parametrize(
    "opts",
    [
        {"body": {"model": "m", "stream": True}},
        {"url": "https://g.example/v1/models/m:streamGenerateContent"},
    ],
)
def test_streams_are_refused(opts: dict[str, object]) -> None:
    """A step's result is remembered whole."""
    with pytest.raises(InvalidInput, match="not a stream"):
        ai(**opts)


@pytest.mark.parametrize("opts", [{"auth_key": 3}, {"auth_key": "a\nb"}, {"format": 1}, {"body": "a" * MAX_BODY_BYTES}])
def test_ai_options_are_bounded(opts: dict[str, object]) -> None:
    """A key that would break the request, or a body that is too large, is refused."""
    with pytest.raises(InvalidInput):
        ai(**opts)


def test_secrets_are_not_shown() -> None:
    """`repr` of a request and of an answer show neither key, nor query, nor bodies."""
    request = ai(format="gemini", headers={"x-secret": "k3y"}, body={"prompt": "k3y"})
    assert "k3y" not in repr(request)
    assert "api.example.com" in repr(request)
    assert "k3y" not in repr(Responded(200, {"set-cookie": "k3y"}, b"k3y"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:k3y@api.example.com:8443/v1/m:gen?key=k3y#k3y", "https://api.example.com:8443/v1/m:gen"),
        ("http://[::1", ""),
        (None, ""),
    ],
)
def test_where_a_request_goes_is_shown_without_its_keys(url: object, expected: str) -> None:
    """Scheme, host and path, for people."""
    assert shown_url(url) == expected


def test_people_see_of_a_request_where_it_goes() -> None:
    """The job's detail holds all options, for the next owner; what is shown of it holds no key."""
    opts = {"url": f"{URL}?key=k3y", "auth_key": "k3y", "headers": {"x": "k3y"}, "body": {"a": "k3y"}}
    told = detail(op="AIGateway", opts=opts)
    job = JobScheduled(RunId("0" * 26), JobId("request/a"), "request", StepId("a"), 0, 0, detail=told)
    assert orjson.loads(shown(job)) == {"op": "AIGateway", "url": URL}
    sleep = JobScheduled(RunId("0" * 26), JobId("sleep/a"), "sleep", StepId("a"), 0, 0, detail='{"until":7}')
    assert shown(sleep) == '{"until":7}'


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_fetch_remembers_any_status(status: int) -> None:
    """Whatever the server says is the step's result."""
    found = memo("Gateway", Responded(status, {"x-a": "1"}, b"\xffhi"))
    assert content(found) == {"data": {"url": URL, "headers": {"x-a": "1"}, "body": "\ufffdhi", "status_code": status}}
    assert not found.failed


def test_ai_answer_is_remembered_to_the_digit() -> None:
    """JSON stays as it came; what is no JSON is remembered as text."""
    exact = memo("AIGateway", Responded(200, {}, b'{"n":12345678901234567890123}'))
    assert exact == Memo('{"data":{"n":12345678901234567890123}}')
    assert memo("AIGateway", Responded(201, {}, b"hello")) == Memo('{"data":"hello"}')


def test_ai_error_is_worth_a_retry_and_then_an_error() -> None:
    """Anything but success is retried, not before the API's own `retry-after`; the last one is what user code gets."""
    answer = Responded(429, {"retry-after": "20"}, b'{"error":{"type":"overloaded"}}')
    error = {
        "name": "AIGatewayError",
        "message": "Error making AI request: unsuccessful status code: 429",
        "stack": '{"error":{"type":"overloaded"}}',
        "data": {"error": {"type": "overloaded"}},
    }
    again = request_memo("AIGateway", {}, answer, last=False, now=NOW)
    assert isinstance(again, Again)
    assert (orjson.loads(again.error), again.not_before) == (error, NOW + 20_000)
    final = memo("AIGateway", answer)
    assert (content(final), final.failed) == ({"error": error}, True)


def test_a_large_ai_error_is_cut() -> None:
    """An error's body does not fill the run's memory."""
    found = memo("AIGateway", Responded(500, {}, b"a" * MAX_RESPONSE_BYTES))
    assert len(found.output) < 100_000
    assert "data" not in content(found)["error"]


def test_streamed_ai_answer_is_an_error() -> None:
    """An API may stream although it was not asked to."""
    found = memo("AIGateway", Responded(200, {"content-type": "text/event-stream"}, b"data: x"))
    assert "stream" in content(found)["error"]["message"]


@pytest.mark.parametrize(("op", "name"), [("Gateway", "GatewayError"), ("AIGateway", "AIGatewayError")])
def test_no_answer_is_retried_when_that_may_help(op: str, name: str) -> None:
    """What could not be sent is an error in the end, and at once when another attempt would end like this one."""
    again = request_memo(op, {}, NotSent("Connection refused", retriable=True), last=False)
    assert isinstance(again, Again)
    assert orjson.loads(again.error)["name"] == name
    for outcome in (NotSent("Connection refused", retriable=True), NotSent("Connection refused", retriable=False)):
        found = memo(op, outcome)
        assert found.failed
        assert "Connection refused" in content(found)["error"]["message"]
    assert isinstance(request_memo(op, {}, NotSent("not allowed", retriable=False), last=False), Memo)


def test_an_answer_that_grows_too_large_as_text_is_an_error() -> None:
    """Bytes that JSON writes with six characters each would break what a record may hold."""
    found = memo("Gateway", Responded(200, {}, b"\x00" * MAX_RESPONSE_BYTES))
    assert "4 MiB" in content(found)["error"]["message"]
