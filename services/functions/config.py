"""A function's configuration, as the `functions` topic holds it and matcher and executor use it.

`registration` turns what an SDK sends into this shape; whatever lies on the topic has been checked there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import orjson

from ..errors import InvalidRegistration
from ..messages.ids import FunctionKey
from .flow_control import FlowControl

DEFAULT_RETRIES = 4
MAX_RETRIES = 20


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts the function on events of this name; `*` at the end after `/` or `.` matches any rest."""

    event: str
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """Starts the function by the clock; kept as registered."""

    cron: str
    jitter: str | None = None


Trigger = EventTrigger | CronTrigger


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """Everything about a function that the system acts on.

    `url` is where it is called, with the SDK's query; `retries` is the number of calls after the first;
    `raw` is the whole registered object, its keys in one spelling and without nulls, for the rooms that read more of it
    than this (see `flow_control`).
    """

    key: FunctionKey
    app: str
    slug: str
    name: str
    url: str
    triggers: tuple[Trigger, ...]
    retries: int = DEFAULT_RETRIES
    sdk: str = ""
    raw: str = "{}"

    def to_json(self) -> str:
        """Text for the `config` field of a `Function` record."""
        triggers: list[dict[str, Any]] = [
            {"event": t.event, "expression": t.expression}
            if isinstance(t, EventTrigger)
            else {"cron": t.cron, "jitter": t.jitter}
            for t in self.triggers
        ]
        return orjson.dumps(
            {
                "key": self.key,
                "app": self.app,
                "slug": self.slug,
                "name": self.name,
                "url": self.url,
                "triggers": triggers,
                "retries": self.retries,
                "sdk": self.sdk,
                "raw": orjson.Fragment(self.raw),
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> FunctionConfig:
        """Read what `to_json` wrote, in this or an earlier release.

        Anybody can write to the topic that holds it: `InvalidRegistration` for what no release has written.
        """
        try:
            found = msgspec.json.decode(text, type=_Stored)
            raw = orjson.dumps(orjson.loads(bytes(found.raw))).decode()
            FlowControl.from_raw(raw)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidRegistration(f"a stored configuration cannot be read: {error}"[:500]) from error
        return cls(
            key=FunctionKey(found.key),
            app=found.app,
            slug=found.slug,
            name=found.name,
            url=found.url,
            triggers=tuple(trigger.read() for trigger in found.triggers),
            retries=found.retries,
            sdk=found.sdk,
            raw=raw,
        )


class _StoredTrigger(msgspec.Struct):
    event: str | None = None
    expression: str | None = None
    cron: str | None = None
    jitter: str | None = None

    def __post_init__(self) -> None:
        if self.event is None and self.cron is None:
            raise ValueError("a trigger has neither event nor cron")

    def read(self) -> Trigger:
        if self.event is not None:
            return EventTrigger(self.event, self.expression)
        return CronTrigger(self.cron or "", self.jitter)


class _Stored(msgspec.Struct):
    """What `to_json` writes; earlier releases wrote no `raw`."""

    key: str
    app: str
    slug: str
    name: str
    url: str
    triggers: tuple[_StoredTrigger, ...]
    retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = DEFAULT_RETRIES
    sdk: str = ""
    raw: msgspec.Raw = msgspec.Raw(b"{}")


def comparable(function: FunctionConfig) -> bytes:
    """The configuration as bytes that are equal when nothing that matters has changed."""
    row = orjson.loads(function.to_json())
    row["sdk"] = function.sdk.partition(":")[0]
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
