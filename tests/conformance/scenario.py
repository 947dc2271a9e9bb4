"""What a scenario says: one function of each SDK's app, and what must come of a run of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gap:
    """At least `seconds` pass between two notes of the journal, and not many more."""

    earlier: str
    later: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """An event that the test sends, named `<app>/<name>` with the id `<app>-<own id>`."""

    name: str
    data: Mapping[str, Any]
    own_id: str
    #: Sent when the function was entered that often.
    entered: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One function and what must come of it."""

    name: str
    #: The feature, in a user's words.
    says: str
    #: `step:attempt` for each time the code of a step ran.
    steps: tuple[str, ...] = ()
    calls: int = 1
    output: Any = None
    #: Message of the error body when the run must fail.
    error: str | None = None
    gap: Gap | None = None
    #: The run ends as Cancelled.
    cancelled: bool = False
    sends: tuple[Send, ...] = ()
    #: Calls where an SDK differs: it plans, catches or reports in its own way.
    calls_of: dict[str, int] = field(default_factory=dict)

    def calls_with(self, sdk: str) -> int:
        return self.calls_of.get(sdk, self.calls)

    def output_of(self, app: str) -> Any:
        """The output, in which `<app>` stands for the app's name."""
        return json.loads(json.dumps(self.output).replace("<app>", app))
