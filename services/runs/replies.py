"""What an app answered to a call, as values.

`parse_reply` takes whatever came over the wire and never raises: an answer that is broken, too large or not from an
SDK is a `Failed` like any other, with an error that says what to do. What user code returned is kept as the JSON text
that it sent, never decoded and written again: large integers and the digits of floats survive. Every text in a reply
is JSON that any strict parser reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec
import orjson

from ..errors import InvalidInput, InvalidReply
from ..messages.ids import StepId
from .deadlines import moment
from .errors import error_text
from .retry_after import parse_retry_after
from .sdk_errors import error_object, fatal_error

MIB = 1024 * 1024
MAX_RESPONSE_BYTES = 8 * MIB
MAX_STEP_OUTPUT_BYTES = 4 * MIB
MAX_OPS = 1000
MAX_STEP_ID = 256
MAX_NAME = 1000
MAX_SLEEP_MS = 366 * 24 * 3600 * 1000
#: A streamed answer in a streamed answer is seen in practice; more than this is a loop.
MAX_STREAM_NESTING = 3

OPCODES = (
    "None",
    "StepRun",
    "Step",
    "StepPlanned",
    "StepError",
    "StepFailed",
    "Sleep",
    "WaitForEvent",
    "WaitForSignal",
    "InvokeFunction",
    "AIGateway",
    "Gateway",
    "RunComplete",
    "SyncRunComplete",
    "DiscoveryRequest",
    "DeferAdd",
    "DeferAbort",
    "StepNotFound",
)
_CANONICAL = {name.lower(): name for name in OPCODES}
_CANONICAL_NAMES = frozenset(OPCODES)
#: Opcodes about no particular step.
_WITHOUT_ID = frozenset(("None", "RunComplete", "SyncRunComplete", "DiscoveryRequest", "DeferAdd", "DeferAbort"))
#: The function's own result may be as large as the response.
_RESULTS = frozenset(("RunComplete", "SyncRunComplete"))

_VERSION = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
#: An escape sequence of a JSON string: a surrogate pair, a surrogate that stands alone, or any other.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)

_NO_OPTS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Op:
    """One opcode of a 206.

    `op` is the canonical name, or the name as sent when it is none of ours. `name` is for people; `target` is the
    field `name` as sent, which some SDKs use for the sleep's end or the event waited for. `data` and `error` are JSON
    text, None when absent; `error`, when there, is an object with `name` and `message`.
    """

    op: str
    id: StepId
    name: str = ""
    target: str = ""
    opts: Mapping[str, object] = field(default_factory=lambda: _NO_OPTS)
    data: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """The function came to its end; `output` is its return value as JSON text."""

    output: str
    request_version: int | None = None


@dataclass(frozen=True, slots=True)
class Stepped:
    """The function reported steps, in the order in which it named them.

    `no_retry` and `retry_at` (ms since 1970) are about those that failed.
    """

    ops: tuple[Op, ...]
    no_retry: bool = False
    retry_at: int | None = None
    request_version: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed as a whole; `error` is the JSON text of an object with `name` and `message`."""

    error: str
    no_retry: bool = False
    retry_at: int | None = None
    request_version: int | None = None


Reply = Returned | Stepped | Failed


class _WireOp(msgspec.Struct, rename={"display_name": "displayName"}):
    op: str
    id: str | None = None
    name: str | None = None
    display_name: str | None = None
    opts: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_decode_ops = msgspec.json.Decoder(list[_WireOp] | _WireOp | None).decode


class _StreamedAnswer(msgspec.Struct, rename={"retry_at": "retryAt", "no_retry": "noRetry"}):
    status: int
    body: msgspec.Raw = msgspec.Raw(b"null")
    headers: dict[str, str | list[str]] | None = None
    retry_at: str | None = None
    no_retry: bool | None = None


_decode_streamed = msgspec.json.Decoder(_StreamedAnswer).decode


class _Unusable(InvalidReply):
    """An answer that cannot be used; `final` when the same call would give the same again."""

    def __init__(self, name: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.error = error_text(name, message)
        self.final = final


def parse_reply(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Reply:
    """What the app said. Header names must be in lower case; any status, header values and body are accepted."""
    try:
        if len(body) > MAX_RESPONSE_BYTES:
            raise _too_large("response", MAX_RESPONSE_BYTES)
        if status == 201:
            status, headers, body = _unwrap(headers, body)
        return _REPLIES.get(status, _failed)(_Answer(status, headers, body, now_ms))
    except _Unusable as unusable:
        no_retry = unusable.final or _no_retry(headers)
        return Failed(unusable.error, no_retry, _retry_at(headers, now_ms), _request_version(headers))


def parse_ops(text: str) -> tuple[Op, ...]:
    """A list of opcodes that came another way than as an answer; `InvalidReply` says what is wrong with it."""
    return _ops(text)


def response_too_large() -> Failed:
    """The reply when reading was stopped because the answer is longer than one may be."""
    return Failed(_too_large("response", MAX_RESPONSE_BYTES).error, no_retry=True)


def unreachable(reason: str) -> Failed:
    """The reply when there was none; `reason` says where the call went and what happened. Worth a retry."""
    return Failed(error_text("Unable to reach the app", reason.encode("utf-8", "replace").decode()))


def sleep_until(op: Op, now_ms: int) -> int | Failed:
    """When a `Sleep` ends (ms since 1970), now at the earliest; `Failed` when it says no time or one too far away."""
    text = op.opts.get("duration") or op.target
    if not isinstance(text, str):
        return _bad_sleep(op, "its duration is not text")
    try:
        at = moment(text, now_ms)
    except InvalidInput as error:
        return _bad_sleep(op, str(error))
    if at - now_ms > MAX_SLEEP_MS:
        return _bad_sleep(op, f"{text} is more than 366 days away")
    return max(at, now_ms)


def _bad_sleep(op: Op, why: str) -> Failed:
    return Failed(error_text("InvalidSleep", f"the sleep {op.name!r} cannot be scheduled: {why}"), no_retry=True)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    now_ms: int

    @property
    def from_sdk(self) -> bool:
        return bool(self.headers.get("x-inngest-sdk"))


def _returned(answer: _Answer) -> Reply:
    if not answer.from_sdk:
        raise _Unusable(
            "not_sdk",
            "the URL answered 200 without the header x-inngest-sdk, so no Inngest SDK is served there; "
            "check the URL the app registers, and proxies that take the header away",
        )
    return Returned(_json_text(answer.body or b"null"), _request_version(answer.headers))


def _stepped(answer: _Answer) -> Reply:
    headers = answer.headers
    ops = _ops(_json_text(answer.body))
    return Stepped(ops, _no_retry(headers), _retry_at(headers, answer.now_ms), _request_version(headers))


def _failed(answer: _Answer) -> Reply:
    headers = answer.headers
    error = _error_of(answer) if answer.from_sdk else fatal_error(answer.status, answer.body)
    return Failed(error, _no_retry(headers), _retry_at(headers, answer.now_ms), _request_version(headers))


_REPLIES = {200: _returned, 206: _stepped}


def _error_of(answer: _Answer) -> str:
    try:
        return error_object(_json_text(answer.body))
    except _Unusable:
        text = answer.body.decode("utf-8", "replace").strip()
        return error_text("Error", text[:MAX_NAME] or f"the app answered with status {answer.status}")


def _ops(text: str) -> tuple[Op, ...]:
    try:
        wire = _decode_ops(text)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _Unusable("InvalidReply", f"status 206 carries no list of opcodes: {error}") from error
    ops = wire if isinstance(wire, list) else [] if wire is None else [wire]
    if len(ops) > MAX_OPS:
        raise _Unusable(
            "InngestErrFunctionOverflowed",
            f"the app asked for {len(ops)} steps at once; {MAX_OPS} are allowed: split them over invoked functions",
            final=True,
        )
    return tuple([_op(op) for op in ops])


def _op(wire: _WireOp) -> Op:
    op = _CANONICAL.get(wire.op.lower(), wire.op[:MAX_NAME])
    step = wire.id or ""
    if op in _CANONICAL_NAMES and op not in _WITHOUT_ID and not step:
        raise _Unusable("InvalidReply", f"an opcode {op} came without an id")
    if len(step) > MAX_STEP_ID:
        raise _Unusable(
            "InvalidReply", f"an opcode {op} has an id of {len(step)} characters; {MAX_STEP_ID} are allowed"
        )
    target = wire.name or ""
    return Op(
        op,
        StepId(step),
        (wire.display_name or target or step)[:MAX_NAME],
        target,
        _opts(wire.opts),
        _output(op, wire.data),
        _op_error(wire.error),
    )


def _opts(raw: msgspec.Raw) -> Mapping[str, object]:
    text = bytes(raw)
    if text == b"null":
        return _NO_OPTS
    opts = orjson.loads(text)
    return opts if isinstance(opts, dict) else _NO_OPTS


def _output(op: str, raw: msgspec.Raw) -> str | None:
    text = bytes(raw)
    if len(text) > MAX_STEP_OUTPUT_BYTES and op not in _RESULTS:
        raise _too_large("output of a step", MAX_STEP_OUTPUT_BYTES)
    return text.decode() or None


def _op_error(raw: msgspec.Raw) -> str | None:
    text = bytes(raw)
    return None if text in (b"", b"null") else error_object(text.decode())


def _json_text(body: bytes) -> str:
    """The body, known to be JSON. A lone surrogate, which only some parsers take, becomes U+FFFD as in Go."""
    body = body.strip()
    try:
        orjson.loads(body)
    except ValueError as error:
        repaired = _ESCAPE.sub(_without_lone_surrogate, body)
        if repaired != body:
            return _json_text(repaired)
        raise _Unusable(
            "InvalidReply",
            f"the app's answer is not JSON ({error}); it begins with {body[:200].decode('utf-8', 'replace')!r}",
        ) from error
    return body.decode()


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def _unwrap(headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body inside a streamed answer. Headers of the inner one win."""
    for _ in range(MAX_STREAM_NESTING):
        inner = _streamed(headers, body)
        headers = {**headers, **_inner_headers(inner)}
        body = _inner_body(inner, headers)
        if inner.status != 201:
            return inner.status, headers, body
    raise _Unusable("InvalidReply", f"a streamed answer is nested more than {MAX_STREAM_NESTING} times")


def _streamed(headers: Mapping[str, str], body: bytes) -> _StreamedAnswer:
    if not body.strip():
        raise _Unusable("InvalidReply", "the app's streamed answer ended before it said anything; did the app stop?")
    try:
        return _decode_streamed(_json_text(body))
    except (msgspec.ValidationError, RecursionError) as error:
        if not headers.get("x-inngest-sdk"):
            raise _Unusable("not_sdk", "the URL answered 201 as no Inngest SDK does; check the app's URL") from error
        raise _Unusable("InvalidReply", f"the app's streamed answer has another shape than it must: {error}") from error


def _inner_headers(answer: _StreamedAnswer) -> dict[str, str]:
    sent = answer.headers or {}
    headers = {name.lower(): value if isinstance(value, str) else ", ".join(value) for name, value in sent.items()}
    if answer.retry_at:
        headers.setdefault("retry-after", answer.retry_at)
    if answer.no_retry:
        headers["x-inngest-no-retry"] = "true"
    return headers


def _inner_body(answer: _StreamedAnswer, headers: Mapping[str, str]) -> bytes:
    """The body, decoded once more where the SDK encoded it twice.

    Go never does, so that a string which a Go function returned is just that.
    """
    text = bytes(answer.body)
    go = headers.get("x-inngest-sdk", "").startswith("go:")
    if not text.startswith(b'"') or (go and answer.status == 200):
        return text
    inner: str = orjson.loads(text)
    encoded = inner.encode()
    try:
        orjson.loads(encoded)
    except ValueError:
        return text if answer.status == 200 else encoded
    return encoded


def _too_large(what: str, limit: int) -> _Unusable:
    return _Unusable(
        "OutputTooLarge",
        f"the {what} is larger than the {limit // MIB} MiB allowed; store the data elsewhere and return a reference",
        final=True,
    )


def _no_retry(headers: Mapping[str, str]) -> bool:
    return headers.get("x-inngest-no-retry", "").strip().lower() == "true"


def _retry_at(headers: Mapping[str, str], now_ms: int) -> int | None:
    text = headers.get("retry-after")
    return parse_retry_after(text, now_ms) if text else None


def _request_version(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-inngest-req-version", "").strip()
    return int(text) if _VERSION.fullmatch(text) else None
