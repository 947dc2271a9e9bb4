"""Requests that the server makes for a step: `Gateway` (fetch) and `AIGateway` (a model's API).

Pure on both sides: `outbound_request` turns an opcode's options into the request, `request_memo` turns what came of it
into the step's memory. What strangers wrote is bounded here; where a request may go is decided by whoever sends it.

Options hold keys of other people's services. So nothing here shows them: not in `repr`, not in an error's message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from ..errors import InvalidInput
from .outcomes import NotSent, Outcome, Responded
from .retry_after import parse_retry_after

MIB = 1024 * 1024
MAX_URL = 8 * 1024
MAX_BODY_BYTES = 4 * MIB
MAX_HEADERS = 100
MAX_HEADER_CHARACTERS = 32 * 1024
MAX_RESPONSE_BYTES = 4 * MIB
#: What a step remembers: the answer and what JSON adds to it.
MAX_MEMORY_BYTES = MAX_RESPONSE_BYTES + MIB
#: An answer's body that an error carries on for people.
MAX_ERROR_BODY = 64 * 1024

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
_METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)
_NO_METHODS = frozenset(("CONNECT", "TRACE"))
#: About the connection, or about a body as it was on another one: the sender says these itself.
_SENDERS_OWN = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """One HTTP request to somebody else's server. Its `repr` shows no more than the method and the host."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    body: bytes = field(default=b"", repr=False)
    host: str = ""


@dataclass(frozen=True, slots=True)
class Memo:
    """What the step remembers: JSON text of `{data}` or `{error}`."""

    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """The request is worth another attempt, not before `not_before` (ms since 1970); `error` says why, as JSON text."""

    error: str
    not_before: int = 0


def outbound_request(op: str, opts: Mapping[str, object]) -> OutboundRequest:
    """The request that an opcode asks for; `InvalidInput` says which option is wrong.

    The same options give the same request, so that it can be made again after a crash.
    """
    _refuse_streams(opts)
    return _ai_request(opts) if op == "AIGateway" else _fetch_request(opts)


def refusal(error: InvalidInput) -> NotSent:
    """The outcome when the options give no request."""
    return NotSent(str(error), retriable=False)


def request_memo(op: str, opts: Mapping[str, object], outcome: Outcome, *, last: bool, now: int = 0) -> Memo | Again:
    """What the step remembers of the outcome, or that it is to be tried again; never that for the last attempt."""
    match outcome:
        case NotSent():
            error = _error(op, outcome.reason)
            return Again(error) if outcome.retriable and not last else _failed(error)
        case Responded():
            memo = _ai_memo(outcome, last, now) if op == "AIGateway" else _fetch_memo(opts, outcome)
            if isinstance(memo, Memo) and _is_too_large(memo.output):
                return _failed(_error(op, f"the answer is larger than the {MAX_RESPONSE_BYTES // MIB} MiB of a step"))
            return memo
        case _:
            assert_never(outcome)


def _is_too_large(text: str) -> bool:
    """In bytes: what came in another encoding may take three for each of its own."""
    return len(text) > MAX_MEMORY_BYTES or (3 * len(text) > MAX_MEMORY_BYTES and len(text.encode()) > MAX_MEMORY_BYTES)


def shown_url(url: object) -> str:
    """Where a request goes, as people may see it: without credentials, query and fragment, which often hold keys."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()[:MAX_URL]


def _fetch_request(opts: Mapping[str, object]) -> OutboundRequest:
    url, host = _url(opts)
    headers = _headers(opts)
    body = _text(opts, "body").encode("utf-8", "replace")
    return _bounded(OutboundRequest(_method(opts), url, headers, body, host))


def _ai_request(opts: Mapping[str, object]) -> OutboundRequest:
    url, host = _url(opts)
    key = _text(opts, "auth_key")
    api_format = _text(opts, "format").lower()
    if key and api_format == "gemini":
        url = _with_query(url, "key", key)
    headers = {"content-type": "application/json", **_auth(api_format, key), **_headers(opts)}
    _check_headers(headers)
    try:
        body = orjson.dumps(opts.get("body"))
    except (TypeError, RecursionError) as error:
        raise InvalidInput("body cannot be written as JSON") from error
    return _bounded(OutboundRequest("POST", url, headers, body, host))


def _auth(api_format: str, key: str) -> dict[str, str]:
    """How each API wants its key; one that is in the query already needs no header."""
    if not key or api_format == "gemini":
        return {}
    match api_format:
        case "anthropic":
            return {"x-api-key": key}
        case "bedrock":
            return {"authorization": key}
        case _:
            return {"authorization": f"Bearer {key}"}


def _with_query(url: str, name: str, value: str) -> str:
    """The URL with one parameter set; some SDKs have put it there already."""
    parts = urlsplit(url)
    kept = [(key, old) for key, old in parse_qsl(parts.query, keep_blank_values=True) if key != name]
    return parts._replace(query=urlencode([*kept, (name, value)])).geturl()


def _url(opts: Mapping[str, object]) -> tuple[str, str]:
    """The URL and its host, for people. It is read for real by whoever sends it."""
    url = _text(opts, "url")
    if not url:
        raise InvalidInput("url is missing: give the full address, such as https://api.example.com/v1")
    if len(url) > MAX_URL:
        raise InvalidInput(f"url has {len(url)} characters; {MAX_URL} are allowed")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise InvalidInput("url cannot be read; give the full address, such as https://api.example.com/v1") from error
    if parts.scheme.lower() not in ("http", "https") or not host or _UNPRINTABLE.search(url):
        raise InvalidInput("url must be an absolute http or https address, without spaces")
    return url, host[:255]


def _method(opts: Mapping[str, object]) -> str:
    method = _text(opts, "method").upper() or "POST"
    if not _METHOD.fullmatch(method) or method in _NO_METHODS:
        raise InvalidInput(f"method {method[:20]!r} cannot be sent; use GET, POST, PUT, PATCH, DELETE or the like")
    return method


def _headers(opts: Mapping[str, object]) -> dict[str, str]:
    given = opts.get("headers") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput("headers must be an object of names and texts")
    headers: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidInput(f"header {str(name)[:100]!r} must be text")
        if name.lower() not in _SENDERS_OWN:
            headers[name.lower()] = value.strip()
    _check_headers(headers)
    return headers


def _check_headers(headers: Mapping[str, str]) -> None:
    """Names and values that mean on the wire what they say here."""
    size = sum(len(name) + len(value) for name, value in headers.items())
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_CHARACTERS:
        raise InvalidInput(
            f"{len(headers)} headers of {size} characters; {MAX_HEADERS} of {MAX_HEADER_CHARACTERS} are allowed"
        )
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise InvalidInput(f"{name[:100]!r} is not the name of a header")
        if not _VALUE.fullmatch(value):
            raise InvalidInput(f"header {name[:100]!r} holds characters other than printable ASCII; encode its value")


def _refuse_streams(opts: Mapping[str, object]) -> None:
    body, publish = opts.get("body"), opts.get("publish")
    streamed = isinstance(body, Mapping) and body.get("stream") is True
    if streamed or ":streamgeneratecontent" in str(opts.get("url", "")).lower():
        raise InvalidInput("a step remembers a whole answer, not a stream; leave out the option that asks for one")
    if isinstance(publish, Mapping) and publish.get("channel"):
        raise InvalidInput("publishing an answer while it arrives is not supported; leave out publish")


def _text(opts: Mapping[str, object], name: str) -> str:
    value = opts.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be text")
    return value


def _bounded(request: OutboundRequest) -> OutboundRequest:
    if len(request.body) > MAX_BODY_BYTES:
        raise InvalidInput(f"body is larger than the {MAX_BODY_BYTES // MIB} MiB allowed; send a reference to the data")
    if len(request.url) > MAX_URL:
        raise InvalidInput(f"url has {len(request.url)} characters with its key; {MAX_URL} are allowed")
    return request


def _fetch_memo(opts: Mapping[str, object], answer: Responded) -> Memo:
    """Any status is a result: user code judges it."""
    data = {
        "url": opts.get("url"),
        "headers": dict(answer.headers),
        "body": answer.body.decode("utf-8", "replace"),
        "status_code": answer.status,
    }
    return Memo(orjson.dumps({"data": data}).decode())


def _ai_memo(answer: Responded, last: bool, now: int) -> Memo | Again:
    if not 200 <= answer.status <= 299:
        error = _ai_error(answer)
        wait = answer.headers.get("retry-after", "")
        return _failed(error) if last else Again(error, (parse_retry_after(wait, now) or 0) if wait else 0)
    if answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
        return _failed(_error("AIGateway", "the API answered with a stream, of which a step remembers nothing"))
    return Memo(orjson.dumps({"data": _json_or_text(answer.body)}).decode())


def _ai_error(answer: Responded) -> str:
    """The API's own words go along: as `stack` for people, as `data` for user code."""
    said = answer.body[:MAX_ERROR_BODY]
    error: dict[str, object] = {
        "name": "AIGatewayError",
        "message": f"Error making AI request: unsuccessful status code: {answer.status}",
        "stack": said.decode("utf-8", "replace"),
    }
    if said and len(said) == len(answer.body):
        error["data"] = _json_or_text(said)
    return orjson.dumps(error).decode()


def _json_or_text(body: bytes) -> orjson.Fragment | str:
    """JSON as it came, to the digit; anything else as text."""
    try:
        orjson.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    return orjson.Fragment(body)


def _error(op: str, why: str) -> str:
    ai = op == "AIGateway"
    error = {
        "name": "AIGatewayError" if ai else "GatewayError",
        "message": f"Error making {'AI' if ai else 'gateway'} request: {why}",
    }
    return orjson.dumps(error).decode()


def _failed(error: str) -> Memo:
    return Memo(f'{{"error":{error}}}', failed=True)
