"""What an app registers: the body of `/fn/register` and of an in-band sync, checked and bounded.

SDKs differ in the spelling of keys (`appname`, `Singleton`), send nulls and empty arrays for what is not set, and add
keys of their own. So an object is first brought into one spelling, then held against models, then turned into
`FunctionConfig`s. Nothing here knows CEL: whoever calls gives the function that compiles an expression.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from ..errors import InvalidExpression, InvalidInput, InvalidRegistration
from ..messages.ids import FunctionKey
from . import flow_control
from .config import DEFAULT_RETRIES, MAX_RETRIES, CronTrigger, EventTrigger, FunctionConfig, Trigger, comparable
from .cron import parse_cron
from .durations import parse_duration
from .flow_control import Expression, FlowControl, Wire

MAX_FUNCTIONS = 1000
MAX_TRIGGERS = 10
MAX_NAME = 255
MAX_URL = 2048
#: Deeper than anything that is known, shallower than what a JSON writer takes.
MAX_DEPTH = 50
#: These releases answered unauthenticated requests with their environment variables.
_UNSAFE_JS = ((3, 22, 0), (3, 53, 1))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

CompileExpression = Callable[[str], object]
Json = dict[str, object]
Body = TypeVar("Body", bound=Wire)


@dataclass(frozen=True, slots=True)
class Registration:
    """An app with all its functions, as it wants to be known from now on.

    Equal checksums mean equal functions, whatever the order, spelling and SDK version they came in.
    """

    app: str
    url: str
    sdk: str
    framework: str
    functions: tuple[FunctionConfig, ...]
    checksum: str


def function_key(app: str, slug: str) -> FunctionKey:
    """Identity of a function: `app/slug`, where a slash in the app's name cannot be taken for the one between."""
    return FunctionKey(f"{app_key(app)}/{slug}")


def app_key(app: str) -> str:
    """An app's name without slashes, which no function's key can equal."""
    return app.replace("%", "%25").replace("/", "%2F")


def parse_registration(body: bytes, compile_expression: CompileExpression) -> Registration:
    """Read the body of `POST /fn/register`; `InvalidRegistration` names the function and key that are wrong."""
    return _registration(_body(_RegisterBody, body), compile_expression)


def parse_in_band(body: bytes, compile_expression: CompileExpression) -> Registration:
    """Read the answer to an in-band sync, which names the app and the SDK under other keys."""
    sent = _body(_InBandBody, body)
    version = sent.sdk_version if sent.sdk_version[:1] == "v" else f"v{sent.sdk_version}"
    app = _RegisterBody(
        app_name=sent.app_id,
        url=sent.url,
        sdk=f"{sent.sdk_language}:{version}",
        framework=sent.framework,
        functions=sent.functions,
    )
    return _registration(app, compile_expression)


def _text(value: str) -> str:
    if not value.strip() or _CONTROL.search(value):
        raise ValueError("expected text without control characters, not blank")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.netloc) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _CONTROL.search(value) or " " in value:
        raise ValueError("expected an absolute URL such as http://127.0.0.1:8000/api/inngest")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_text)]
Url = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_url)]
Label = Annotated[str, Field(max_length=MAX_NAME)]
#: Two of them, with what is put between, are a label.
HalfLabel = Annotated[str, Field(max_length=MAX_NAME // 2 - 2)]


class _RegisterBody(Wire):
    app_name: Name
    url: Url
    functions: tuple[Json, ...] = Field(max_length=MAX_FUNCTIONS)
    sdk: Label = ""
    framework: Label = ""


class _InBandBody(Wire):
    app_id: Name = Field(alias="app_id")
    url: Url
    functions: tuple[Json, ...] = Field(max_length=MAX_FUNCTIONS)
    sdk_language: HalfLabel = Field(default="", alias="sdk_language")
    sdk_version: HalfLabel = Field(default="", alias="sdk_version")
    framework: Label = ""


class _Retries(Wire):
    attempts: int = Field(default=DEFAULT_RETRIES, ge=0, le=MAX_RETRIES)


class _Runtime(Wire):
    url: Url
    type: Annotated[Literal["http", "ws"], BeforeValidator(_lower)] = "http"


class _Step(Wire):
    runtime: _Runtime
    retries: _Retries | None = None


class _Trigger(Wire):
    event: Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_text)] | None = None
    expression: Expression | None = None
    cron: str | None = None
    jitter: str | None = None


class _Function(FlowControl):
    id: Name
    name: str = Field(default="", max_length=MAX_NAME)
    triggers: tuple[_Trigger, ...] = Field(default=(), max_length=MAX_TRIGGERS)
    steps: dict[str, _Step] = Field(min_length=1, max_length=1)
    retries: int | None = Field(default=None, ge=0, le=MAX_RETRIES)


_MODELS: tuple[type[Wire], ...] = (
    _RegisterBody,
    _InBandBody,
    _Retries,
    _Runtime,
    _Step,
    _Trigger,
    _Function,
    flow_control.Concurrency,
    flow_control.ConcurrencyLimit,
    flow_control.Throttle,
    flow_control.RateLimit,
    flow_control.Debounce,
    flow_control.BatchEvents,
    flow_control.Priority,
    flow_control.Cancellation,
    flow_control.Timeouts,
    flow_control.Singleton,
)
_KEYS = [field.alias or name for model in _MODELS for name, field in model.model_fields.items()]
_SPELLING = {key.lower(): key for key in _KEYS}


def _one_spelling(value: object, depth: int = 0) -> object:
    """Known keys in their usual spelling; what is null or an empty array is not set."""
    if depth > MAX_DEPTH:
        raise InvalidRegistration(f"the body is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_one_spelling(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _SPELLING.get(key.lower(), key): _one_spelling(item, depth + 1)
        for key, item in value.items()
        if item is not None and item != []
    }


def _body(model: type[Body], body: bytes) -> Body:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRegistration(f"the body is not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise InvalidRegistration("the body must be a JSON object")
    named_functions = any(key.lower() == "functions" for key in sent)
    spelled = _one_spelling(sent)
    if isinstance(spelled, dict) and named_functions:
        spelled.setdefault("functions", [])
    return _validate(model, spelled, "registration")


def _validate(model: type[Body], value: object, what: str) -> Body:
    try:
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "its settings"
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidRegistration(f"{what}: {place[:200]}: {reason}") from error


def _registration(body: _RegisterBody, compile_expression: CompileExpression) -> Registration:
    _refuse_unsafe(body.sdk)
    functions = tuple(_function(body, raw, compile_expression) for raw in body.functions)
    for slug, count in Counter(function.slug for function in functions).items():
        if count > 1:
            raise InvalidRegistration(f"function {slug!r}: id: registered {count} times; give each its own id")
    return Registration(
        app=body.app_name,
        url=body.url,
        sdk=body.sdk,
        framework=body.framework,
        functions=functions,
        checksum=_checksum(functions),
    )


def _function(body: _RegisterBody, raw: Json, compile_expression: CompileExpression) -> FunctionConfig:
    what = f"function {str(raw.get('id', ''))[:MAX_NAME]!r}"
    sent = _validate(_Function, raw, what)
    try:
        triggers = tuple(_trigger(trigger, compile_expression) for trigger in sent.triggers)
        if len(set(triggers)) < len(triggers):
            raise InvalidInput("triggers: the same trigger twice; remove one")
        for place, expression in sent.expressions():
            _compile(place, expression, compile_expression)
    except InvalidInput as error:
        raise InvalidRegistration(f"{what}: {error}") from error
    (step,) = sent.steps.values()
    return FunctionConfig(
        key=function_key(body.app_name, sent.id),
        app=body.app_name,
        slug=sent.id,
        name=sent.name.strip() or sent.id,
        url=step.runtime.url,
        triggers=triggers,
        retries=_retries(step, sent.retries),
        sdk=body.sdk,
        raw=orjson.dumps(raw).decode(),
    )


def _retries(step: _Step, fallback: int | None) -> int:
    if step.retries is not None:
        return step.retries.attempts
    return DEFAULT_RETRIES if fallback is None else fallback


def _trigger(sent: _Trigger, compile_expression: CompileExpression) -> Trigger:
    if sent.event and sent.cron:
        raise InvalidInput("triggers: a trigger has either event or cron; write two triggers")
    if sent.cron:
        return CronTrigger(sent.cron, _cron(sent.cron, sent.jitter))
    if sent.event is None:
        raise InvalidInput("triggers: a trigger needs an event or a cron")
    if "*" in sent.event.removesuffix("/*").removesuffix(".*"):
        raise InvalidInput(f"triggers: {sent.event!r}: a wildcard stands at the end only, as /* or .*")
    expression = sent.expression or None
    if expression is not None:
        _compile(f"triggers: {sent.event}: expression", expression, compile_expression)
    return EventTrigger(sent.event, expression)


def _cron(cron: str, jitter: str | None) -> str | None:
    try:
        parse_cron(cron)
        if jitter and not 1 <= parse_duration(jitter).total_seconds() <= 300:
            raise InvalidInput(f"jitter {jitter!r} must be between 1s and 5m")
    except InvalidInput as error:
        raise InvalidInput(f"triggers: cron: {error}") from error
    return jitter or None


def _compile(place: str, expression: str, compile_expression: CompileExpression) -> None:
    try:
        compile_expression(expression)
    except InvalidExpression as error:
        raise InvalidInput(f"{place}: {expression[:200]!r} does not compile: {error}") from error


def _checksum(functions: tuple[FunctionConfig, ...]) -> str:
    """Over what the functions mean: neither their order nor the SDK's release is part of it."""
    digest = hashlib.sha256()
    for function in sorted(functions, key=lambda function: function.slug):
        digest.update(comparable(function))
    return digest.hexdigest()


def _refuse_unsafe(sdk: str) -> None:
    found = re.match(r"js:v?(\d+)\.(\d+)\.(\d+)", sdk)
    if found is None:
        return
    version = (int(found[1]), int(found[2]), int(found[3]))
    if _UNSAFE_JS[0] <= version <= _UNSAFE_JS[1]:
        raise InvalidRegistration(
            f"sdk {sdk[:40]!r} has a known vulnerability that shows environment variables to anyone; "
            "upgrade the inngest package to 3.54.0 or later"
        )
