"""The table of one partition: pending waits, and recent correlated events that a later wait may look back on.

Whichever of wait and event comes first is written before the other is looked for, so the second always finds the
first. A wait goes only by the tombstone of its owner; a resume that was sent may have been refused.

    <correlation>/<run>/<job>                    Wait, as it lies on its topic
    \\0e<correlation><received at><internal id>   CorrelatedEvent, earliest first
    \\0t<taken at><the key above>                 when it may be forgotten
    \\0c                                          how far `correlations` has been taken
    \\0o                                          the ids of both topics (`state.origin`)
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Iterator, Sequence

from ..errors import UndecodableRecord
from ..functions.triggering import Conditions
from ..messages.codec import Codec
from ..messages.keys import correlation_of
from ..messages.records import CorrelatedEvent, ResumeRun, Wait
from ..state.origin import is_folded_from, remember_origin
from ..state.store import Change, PartitionState
from .meeting import IncomingEvent, meet

log = logging.getLogger(__name__)

#: Waits looked at between two pauses; each has a few hundred bytes.
WAITS_PER_PAGE = 64
#: Events looked at between two pauses; each may have megabytes.
EVENTS_PER_PAGE = 16
#: Most events forgotten at once.
FORGET_AT_MOST = 2000

_EVENTS, _TAKEN, _PLACE = b"\0e", b"\0t", b"\0c"
_NUMBER = struct.Struct(">Q")
_LARGEST = (1 << 63) - 1
_EVENT_KEY_TIME = len(_TAKEN) + _NUMBER.size

Page = Sequence[ResumeRun]


class WaitTable:
    """Waits and events of one partition, over its state. Not thread-safe: one caller at a time."""

    def __init__(self, state: PartitionState, codec: Codec, conditions: Conditions) -> None:
        self._state = state
        self._codec = codec
        self._conditions = conditions
        self._correlations = _number(state.get(_PLACE), -1)
        self._forgotten_up_to = _TAKEN

    @property
    def waits_offset(self) -> int:
        """How far `waits` has been taken; -1 for nothing."""
        return self._state.changelog_offset()

    @property
    def correlations_offset(self) -> int:
        """How far `correlations` has been taken; -1 for nothing."""
        return self._correlations

    @property
    def applied_at(self) -> int:
        """When something was last taken, in ms; 0 for an empty table."""
        return self._state.applied_at()

    def fold(self, pairs: Iterable[Change], offset: int, now: int) -> None:
        """Take records of `waits`, in order, up to `offset`: values that replace, tombstones that remove."""
        self._state.apply(pairs, offset, now)

    def remember(self, events: Iterable[tuple[CorrelatedEvent, bytes]], offset: int, now: int) -> None:
        """Take records of `correlations`, with their bytes, up to `offset`; taking one again does no harm."""
        changes: list[Change] = []
        for event, value in events:
            key = _event_key(event)
            changes += [(_EVENTS + key, value), (_TAKEN + _packed(now) + key, b"")]
        self._correlations = max(self._correlations, offset)
        changes.append((_PLACE, _packed(self._correlations)))
        self._state.apply(changes, self._state.changelog_offset(), now)

    def is_pending(self, key: bytes) -> bool:
        """The wait is registered and its owner has not removed it."""
        return self._state.get(key) is not None

    def has_events(self) -> bool:
        """There is something for a wait to look back on."""
        return any(True for _ in self._state.scan(_EVENTS, _after(_EVENTS), 1))

    def met_by(self, event: CorrelatedEvent) -> Iterator[Page]:
        """Commands to the runs whose waits the event ends, page by page; the caller may pause between pages."""
        start = correlation_of(event).encode() + b"/"
        end = _after(start)
        incoming = IncomingEvent(event)
        while start < end:
            pairs = list(self._state.scan(start, end, WAITS_PER_PAGE))
            waits = (self._wait(value) for _, value in pairs)
            yield [found for wait in waits if wait and (found := meet(wait, incoming, self._conditions))]
            start = pairs[-1][0] + b"\0" if len(pairs) == WAITS_PER_PAGE else end

    def looked_back(self, wait: Wait) -> Iterator[Page]:
        """The command for the earliest event that ends the wait, in the last page; the caller may pause between."""
        prefix = _EVENTS + correlation_of(wait).encode()
        start, end = prefix + _packed(wait.since), prefix + _packed(wait.until + 1)
        while start < end:
            pairs = list(self._state.scan(start, end, EVENTS_PER_PAGE))
            found = next((command for _, value in pairs if (command := self._met(wait, value))), None)
            yield [found] if found else []
            start = pairs[-1][0] + b"\0" if len(pairs) == EVENTS_PER_PAGE and not found else end

    def forget(self, before: int, now: int) -> int:
        """Remove events that were taken before that time; how many, as not all are removed at once."""
        # From the last removed key on: what was removed before it would still have to be passed over.
        end = _TAKEN + _packed(before)
        keys = [key for key, _ in self._state.scan(self._forgotten_up_to, end, FORGET_AT_MOST)]
        if keys:
            self._forgotten_up_to = keys[-1]
            removed: list[Change] = [(key, None) for key in keys]
            removed += [(_EVENTS + key[_EVENT_KEY_TIME:], None) for key in keys]
            self._state.apply(removed, self._state.changelog_offset(), now)
        return len(keys)

    def is_folded_from(self, origin: str) -> bool:
        """False when the table comes from other topics, of the same names perhaps."""
        return is_folded_from(self._state, origin.strip())

    def remember_origin(self, origin: str, now: int) -> None:
        """The table comes from these topics."""
        remember_origin(self._state, origin.strip(), now)

    def clear(self) -> None:
        """Become empty, to be built again."""
        self._state.clear()
        self._correlations = -1
        self._forgotten_up_to = _TAKEN

    def close(self) -> None:
        self._state.close()

    def _met(self, wait: Wait, value: bytes) -> ResumeRun | None:
        event = self._codec.decode_as(CorrelatedEvent, value)
        return meet(wait, IncomingEvent(event), self._conditions)

    def _wait(self, value: bytes) -> Wait | None:
        """None for what is no wait: a restored table holds whatever was on the topic; it was a dead letter then."""
        try:
            return self._codec.decode_as(Wait, value)
        except UndecodableRecord as error:
            log.debug("passed over in the table of waits: %s", error)
            return None


def fits(key: bytes) -> bool:
    """The key could be a wait's: it stays out of the table's own keys."""
    return key[:1] > b"\0"


def _event_key(event: CorrelatedEvent) -> bytes:
    return correlation_of(event).encode() + _packed(event.received_at) + event.internal_id.encode()


def _packed(number: int) -> bytes:
    return _NUMBER.pack(min(max(number, 0), _LARGEST))


def _number(packed: bytes | None, absent: int) -> int:
    return absent if packed is None else int(_NUMBER.unpack(packed)[0])


def _after(prefix: bytes) -> bytes:
    """The first key behind all that begin with `prefix`."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
