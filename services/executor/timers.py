"""The timer index: local keys, ordered by due time, that point to the state keys of what is due.

It is derived from the changelog's records while they are applied, so it needs no records of its own:

    \\0t<due: 8 bytes, big-endian ms><state key>

Jobs, cron firings, marks and claims that expire, and ended runs (they are purged) have a due time. A call or request
that is due the moment it is scheduled stands under due time 0: the live owner makes it without looking at the index,
and only a new owner, who reads the index from its very beginning, finds those that were under way.
"""

from __future__ import annotations

from ..messages.records import (
    CancellationApplied,
    CronScheduled,
    EventDeduplicated,
    JobScheduled,
    Record,
    RunEnded,
    SignalClaimed,
)

_PREFIX = b"\x00t"
_UNDER_WAY = 0


def due_of(record: Record) -> int | None:
    """When something must happen because of this record (ms; 0 for a call under way), or None.

    A time before 1970, which no release of ours writes, counts as 1970: the index knows no other.
    """
    due_at = _due_at(record)
    return None if due_at is None else max(due_at, 0)


def _due_at(record: Record) -> int | None:
    match record:
        case JobScheduled():
            under_way = record.kind in ("call", "request") and record.due_at <= record.scheduled_at
            return _UNDER_WAY if under_way else record.due_at
        case EventDeduplicated() | SignalClaimed() | CancellationApplied():
            return record.expires_at
        case CronScheduled():
            return record.due_at
        case RunEnded():
            return record.purge_at
        case _:
            return None


def timer_key(due_at: int, state_key: bytes) -> bytes:
    """The index key."""
    return _PREFIX + due_at.to_bytes(8, "big") + state_key


def first_timer() -> bytes:
    """Where the index begins: calls under way first."""
    return _PREFIX


def timers_until(now: int) -> bytes:
    """The index key just behind everything that is due at `now`."""
    return _PREFIX + (now + 1).to_bytes(8, "big")


def read_timer(key: bytes) -> tuple[int, bytes]:
    """Due time and state key of an index key."""
    return int.from_bytes(key[2:10], "big"), key[10:]
