"""Events that cancel a run (`cancelOn`): registered when it starts, as waits that end it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import orjson

from ..errors import InvalidExpression
from ..expressions.split import split
from ..functions.flow_control import FlowControl
from ..messages.ids import JobId, StepId
from ..messages.keys import wait_key
from ..messages.records import Wait
from ..messages.topics import DAY_MS
from .details import detail
from .turn import Turn

DEFAULT_TIMEOUT_MS = 366 * DAY_MS


@dataclass(frozen=True, slots=True)
class CancelRule:
    """One `cancelOn` of a function: an event, a condition, and a time or a date until when it counts."""

    event: str
    condition: str | None = None
    timeout: timedelta | datetime | None = None

    def until(self, started_at: int) -> int:
        """The last moment at which the event counts (ms), for a run that starts now."""
        match self.timeout:
            case timedelta():
                return started_at + min(self.timeout // timedelta(milliseconds=1), DEFAULT_TIMEOUT_MS)
            case datetime():
                return min(int(self.timeout.timestamp() * 1000), started_at + DEFAULT_TIMEOUT_MS)
            case None:
                return started_at + DEFAULT_TIMEOUT_MS


@lru_cache(maxsize=1024)
def cancel_rules(raw: str) -> tuple[CancelRule, ...]:
    """The rules of a function, from its configuration as registered (`FunctionConfig.raw`)."""
    if '"cancel"' not in raw:
        return ()
    return tuple(CancelRule(c.event, c.when, c.timeout) for c in FlowControl.from_raw(raw).cancel)


def register_cancels(turn: Turn, rules: tuple[CancelRule, ...]) -> None:
    """Look out for the events that cancel this run, from the arrival of its trigger on."""
    for number, rule in enumerate(rules):
        until = rule.until(turn.now)
        if until > turn.now:
            _register(turn, JobId(f"cancel/{number}"), rule, until)


def _register(turn: Turn, job_id: JobId, rule: CancelRule, until: int) -> None:
    started = turn.run.started
    try:
        found = split(rule.condition or "", orjson.loads(started.events[0])) if rule.condition else None
    except InvalidExpression:  # registration refuses these; an older release may have let one in
        return
    if rule.condition and found is None:
        return  # it can never hold for this run
    wait = Wait(
        run_id=turn.run.id,
        job_id=job_id,
        event=rule.event,
        path=found.path if found else "",
        value=found.value if found else "",
        condition=found.condition if found else "",
        bound=found.bound if found else "{}",
        since=started.received_at,
        until=until,
        registered_at=turn.now,
        excluded=started.event_ids,
    )
    told = detail(event=rule.event, **{"if": rule.condition}, since=wait.since, until=until)
    key = wait_key(wait)
    turn.schedule(job_id, "cancel", StepId(""), until, name=rule.event, detail=told, wait_key=key)
    turn.messages.append(wait)
