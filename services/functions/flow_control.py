"""What a function may register about its flow: limits, delays, batches, cancellation.

These models hold the shapes and bounds of the wire. A `FunctionConfig` keeps the object itself in `raw`, in this
spelling; `FlowControl.from_raw` reads it again for the rooms that act on it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ..errors import InvalidInput
from .durations import parse_duration

MAX_CANCELLATIONS = 5
MAX_CONCURRENCY = 2
MAX_EXPRESSION = 10_000

DAY = timedelta(days=1)
YEAR = timedelta(days=366)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("expected a duration such as 30s or 1h")
    try:
        return parse_duration(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


def _duration_or_date(value: object) -> object:
    """Cancellation may end after a time or at one."""
    if isinstance(value, str) and len(value) >= 10 and value[4:5] == "-":
        date = datetime.fromisoformat(value)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return _duration(value)


def _between(least: timedelta, most: timedelta) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"expected a duration between {least} and {most}")
        return value

    return AfterValidator(check)


def _whole_seconds(value: timedelta) -> timedelta:
    if value.microseconds:
        raise ValueError("expected whole seconds")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Wait = Annotated[Duration, _between(timedelta(seconds=1), YEAR)]
Expression = Annotated[str, Field(max_length=MAX_EXPRESSION)]


class Wire(BaseModel):
    """An object of the wire, validated from JSON: camel-case keys, unknown ones ignored, no type guessed."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, alias_generator=to_camel, populate_by_name=True)


class ConcurrencyLimit(Wire):
    """At most `limit` at once, counted by `key` within `scope`; 0 means no limit of its own."""

    limit: int = Field(default=0, ge=0, le=100_000)
    key: Expression | None = None
    scope: Annotated[Literal["fn", "env", "account"], BeforeValidator(_lower)] = "fn"

    @model_validator(mode="after")
    def _shared_scope_needs_key(self) -> Self:
        if self.scope != "fn" and not self.key:
            raise ValueError(f"scope {self.scope!r} needs a key")
        return self


class Concurrency(Wire):
    """`fn` bounds whole runs, `step` executing steps."""

    fn: tuple[ConcurrencyLimit, ...] = Field(default=(), max_length=1)
    step: tuple[ConcurrencyLimit, ...] = Field(default=(), max_length=MAX_CONCURRENCY)


def _concurrency(value: object) -> object:
    """A number, one limit, a list of limits and the two-part object all become the two-part object."""
    if isinstance(value, bool):
        raise ValueError("expected a number, a limit or a list of limits")
    if isinstance(value, int):
        return {"step": ({"limit": value},)}
    if isinstance(value, list):
        return {"step": tuple(value)}
    if isinstance(value, dict) and not value.keys() & {"fn", "step"}:
        return {"step": (value,)}
    if isinstance(value, dict):
        return {part: tuple(limits) if isinstance(limits, list) else limits for part, limits in value.items()}
    return value


class Throttle(Wire):
    """Starts at most `limit` runs a `period` and queues the rest."""

    limit: int = Field(ge=0, le=1_000_000)
    period: Annotated[Wait, AfterValidator(_whole_seconds)]
    burst: int = Field(default=0, ge=0, le=1_000_000)
    key: Expression | None = None


class RateLimit(Wire):
    """Starts at most `limit` runs a `period` and drops the rest."""

    limit: int = Field(ge=1, le=1_000_000)
    period: Annotated[Duration, _between(timedelta(seconds=1), DAY)]
    key: Expression | None = None


class Debounce(Wire):
    """Waits until no event came for `period`, at most `timeout`."""

    period: Annotated[Duration, _between(timedelta(seconds=1), timedelta(days=7))]
    timeout: Wait | None = None
    key: Expression | None = None


class BatchEvents(Wire):
    """Starts one run with up to `max_size` events, after `timeout` at the latest."""

    max_size: int = Field(ge=2, le=10_000)
    timeout: Wait
    key: Expression | None = None
    when: Expression | None = Field(default=None, alias="if")


class Priority(Wire):
    """Moves a run in the queue by the seconds that the expression gives."""

    run: Expression | None = None


class Cancellation(Wire):
    """Cancels the run on an event."""

    event: str = Field(min_length=1, max_length=255)
    when: Expression | None = Field(default=None, alias="if")
    timeout: Annotated[timedelta | datetime | None, BeforeValidator(_duration_or_date)] = None


class Timeouts(Wire):
    """Cancels a run that does not start or end in time."""

    start: Duration | None = None
    finish: Duration | None = None


class Singleton(Wire):
    """One run at a time, by `key`."""

    mode: Annotated[Literal["skip", "cancel"], BeforeValidator(_lower)]
    key: Expression | None = None


class FlowControl(Wire):
    """Everything about a function that decides when and whether its runs proceed."""

    concurrency: Annotated[Concurrency | None, BeforeValidator(_concurrency)] = None
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    idempotency: Expression | None = None
    debounce: Debounce | None = None
    batch_events: BatchEvents | None = None
    priority: Priority | None = None
    cancel: tuple[Cancellation, ...] = Field(default=(), max_length=MAX_CANCELLATIONS)
    timeouts: Timeouts | None = None
    singleton: Singleton | None = None

    @classmethod
    def from_raw(cls, raw: str) -> FlowControl:
        """Read what a `FunctionConfig` keeps; it was checked when it was registered."""
        return cls.model_validate_json(raw)

    @model_validator(mode="after")
    def _batches_stand_alone(self) -> Self:
        if self.batch_events is None:
            return self
        others = {
            "cancel": self.cancel,
            "debounce": self.debounce,
            "singleton": self.singleton,
            "priority.run": self.priority and self.priority.run,
        }
        clash = [name for name, value in others.items() if value]
        if clash:
            raise ValueError(f"batchEvents cannot be combined with {', '.join(clash)}")
        return self

    def expressions(self) -> tuple[tuple[str, str], ...]:
        """Every expression with the key under which it was registered."""
        concurrency = self.concurrency or Concurrency()
        keyed = {
            "throttle": self.throttle,
            "rateLimit": self.rate_limit,
            "debounce": self.debounce,
            "batchEvents": self.batch_events,
            "singleton": self.singleton,
        }
        found = [(f"{name}.key", part.key) for name, part in keyed.items() if part is not None]
        found += [("concurrency.key", limit.key) for limit in (*concurrency.fn, *concurrency.step)]
        found += [("cancel.if", cancellation.when) for cancellation in self.cancel]
        found.append(("idempotency", self.idempotency))
        found.append(("priority.run", self.priority.run if self.priority else None))
        found.append(("batchEvents.if", self.batch_events.when if self.batch_events else None))
        return tuple((name, text) for name, text in found if text)
