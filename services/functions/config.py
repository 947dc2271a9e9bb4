"""A function's configuration, as the `functions` topic holds it and matcher and executor use it.

`registration` turns what an SDK sends into this shape; whatever lies on the topic has been checked there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ..messages.ids import FunctionKey

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
        """Read what `to_json` wrote, in this or an earlier release."""
        row = orjson.loads(text)
        triggers = tuple(
            EventTrigger(t["event"], t.get("expression")) if "event" in t else CronTrigger(t["cron"], t.get("jitter"))
            for t in row["triggers"]
        )
        return cls(
            key=FunctionKey(row["key"]),
            app=row["app"],
            slug=row["slug"],
            name=row["name"],
            url=row["url"],
            triggers=triggers,
            retries=row.get("retries", DEFAULT_RETRIES),
            sdk=row.get("sdk", ""),
            raw=orjson.dumps(row.get("raw", {})).decode(),
        )
