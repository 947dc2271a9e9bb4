"""Cron triggers of the functions that a partition looks after: what fires next, and what happens when it does.

The next firing of each trigger is a record of the partition's changelog (`CronScheduled`) and stands in the timer
index. When it is due, one commit holds the record of the firing after it and the start of a run, whose id is derived
from function, schedule and scheduled time. So whoever dies, moves or rebuilds its state fires none twice, skips none.

What was missed while nobody owned the partition: the latest firing is made up for, once; those before it are skipped.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from ..errors import InvalidInput
from ..functions.config import CronTrigger, FunctionConfig
from ..functions.cron import (
    CronSchedule,
    jitter_ms,
    latest_firing,
    longest_jitter_ms,
    next_firing,
    parse_cron,
)
from ..functions.table import FunctionTable
from ..functions.triggering import event_json
from ..messages import keys
from ..messages.ids import FunctionKey, function_partition, run_id, ulid
from ..messages.records import CronScheduled, Event, StartRun
from ..state.store import PartitionState
from .runstore import Draft

log = logging.getLogger(__name__)

TIMER_EVENT = "inngest/scheduled.timer"
_PREFIX = b"cron/"
_PREFIX_END = b"cron0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Trigger:
    """A cron trigger as it is registered now."""

    function: FunctionKey
    cron: str
    schedule: CronSchedule
    jitter: str | None
    registered_at: int

    def following(self, moment: int) -> CronScheduled | None:
        """The first firing behind the moment."""
        scheduled_at = next_firing(self.schedule, moment)
        return None if scheduled_at is None else self.firing(scheduled_at)

    def firing(self, scheduled_at: int) -> CronScheduled:
        due_at = scheduled_at + jitter_ms(self.function, self.cron, scheduled_at, self.jitter)
        return CronScheduled(self.function, self.cron, scheduled_at, due_at)

    def to_fire(self, first: int, now: int) -> int:
        """The scheduled time to fire for at `now`, when `first` is due: that one, or the latest if more were missed.

        A later one counts as missed when it must have been due, whatever its jitter: so an owner that is on time
        never skips any.
        """
        return latest_firing(self.schedule, first, now - longest_jitter_ms(self.jitter))


class CronTriggers:
    """The cron triggers of one partition. Nothing of them is kept here: the draft and the state hold it."""

    def __init__(self, partition: int, partitions: int, table: FunctionTable, state: PartitionState) -> None:
        self._partition = partition
        self._partitions = partitions
        self._table = table
        self._state = state

    def reconcile(self, draft: Draft, now: int) -> None:
        """Bring what is scheduled in line with the registered functions; to be called whenever they have changed.

        A new trigger first fires behind its registration; one that was there already goes on as it was scheduled.
        """
        wanted = dict(self._wanted())
        for key in self._scheduled(draft):
            if key not in wanted:
                _replace(key, None, draft)
        for key, trigger in wanted.items():
            before = draft.record(key)
            if isinstance(before, CronScheduled):
                after: CronScheduled | None = trigger.firing(before.scheduled_at)
            else:
                after = trigger.following(trigger.registered_at)
            if after != before:
                _replace(key, after, draft)

    def fire(self, due: CronScheduled, draft: Draft, now: int) -> None:
        """A firing's time has come: start its run, schedule the next one."""
        key = keys.cron_key(due.function, due.cron)
        trigger = self._trigger(due)
        if trigger is None:
            _replace(key, None, draft)
            return
        scheduled_at = trigger.to_fire(due.scheduled_at, now)
        if scheduled_at > due.scheduled_at:
            log.warning(
                "%s: firings of %r from %s up to that of %s were missed and are skipped",
                due.function,
                due.cron,
                rfc3339(due.scheduled_at),
                rfc3339(scheduled_at),
            )
        firing = trigger.firing(scheduled_at)
        event = timer_event(firing, now)
        draft.send(event)
        draft.send(start_of(firing, event, now))
        _replace(key, trigger.following(scheduled_at), draft)

    def _wanted(self) -> Iterator[tuple[bytes, _Trigger]]:
        for registered in self._table.functions():
            function = registered.config.key
            if function_partition(function, self._partitions) == self._partition:
                for trigger in self._of(registered.config):
                    yield keys.cron_key(function, trigger.cron), trigger

    def _trigger(self, due: CronScheduled) -> _Trigger | None:
        registered = self._table.function(due.function)
        found = () if registered is None else self._of(registered.config)
        return next((trigger for trigger in found if trigger.cron == due.cron), None)

    def _of(self, config: FunctionConfig) -> Iterator[_Trigger]:
        record = self._table.record(config.key)
        for trigger in config.triggers:
            if isinstance(trigger, CronTrigger) and record is not None:
                try:
                    schedule = parse_cron(trigger.cron)
                except InvalidInput as error:  # registration refuses these; an older release may have let one in
                    log.warning("%s: %s", config.key, error)
                else:
                    yield _Trigger(config.key, trigger.cron, schedule, trigger.jitter, record.registered_at)

    def _scheduled(self, draft: Draft) -> set[bytes]:
        """Keys of all that is scheduled, as it will be after this commit."""
        kept = {key for key, _ in self._state.scan(_PREFIX, _PREFIX_END)}
        kept |= {key for key in draft.records if key.startswith(_PREFIX)}
        return {key for key in kept if draft.record(key) is not None}


def timer_event(firing: CronScheduled, now: int) -> Event:
    """The event of a firing, with ids that are the same each time."""
    seed = hashlib.blake2b(f"{firing.function}\0{firing.cron}\0{firing.scheduled_at}".encode(), digest_size=10).digest()
    scheduled_at = rfc3339(firing.scheduled_at)
    data = {"cron": firing.cron, "scheduledAt": scheduled_at, "fireAt": rfc3339(firing.due_at)}
    return Event(
        name=TIMER_EVENT,
        data=orjson.dumps(data).decode(),
        id=scheduled_at,
        ts=firing.scheduled_at,
        internal_id=ulid(firing.scheduled_at, seed),
        received_at=now,
        source="cron",
    )


def start_of(firing: CronScheduled, event: Event, now: int) -> StartRun:
    """The start of a firing's run."""
    cause = f"cron/{firing.cron}/{event.id}"
    return StartRun(
        run_id=run_id(firing.function, cause, firing.scheduled_at),
        function=firing.function,
        events=(event_json(event),),
        event_ids=(event.internal_id,),
        received_at=now,
        cron=firing.cron,
    )


def rfc3339(moment: int) -> str:
    """A time as events carry it: UTC, to the second or, where there are any, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=moment)
    return at.isoformat(timespec="milliseconds" if moment % 1000 else "seconds").replace("+00:00", "Z")


def _replace(key: bytes, after: CronScheduled | None, draft: Draft) -> None:
    """Put another firing, or none, in place of what is scheduled under a key."""
    before = draft.record(key)
    if isinstance(before, CronScheduled):
        draft.remove_timer(before.due_at, key)
    if after is not None:
        draft.write(key, after)
    elif before is not None:
        draft.remove(key)
