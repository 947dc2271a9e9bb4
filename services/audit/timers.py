"""A local store's timers against what has a due time in it: pure over its pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import UndecodableRecord
from ..executor.runstore import TIMED_KINDS
from ..executor.timers import due_of, timer_key
from ..messages import keys
from ..messages.codec import Codec
from .findings import Findings


def without_own(stored: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """What comes from the topic: a store's own keys begin with a zero byte."""
    return (pair for pair in stored if pair[0][:1] > b"\0")


class TimersAudit:
    """Passes a store's pairs on without the store's own, and holds those with a due time against its timers.

    A timer that points to nothing is removed by whoever takes it; what has none is never taken.
    """

    def __init__(self, partition: int, codec: Codec) -> None:
        self.findings = Findings()
        self._partition = partition
        self._codec = codec

    def passed(self, stored: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of a store in the order of their keys, so that its timers come first."""
        timers: set[bytes] = set()
        for key, value in stored:
            if key[:1] > b"\0":
                self._check(key, value, timers)
                yield key, value
            else:
                timers.add(key)

    def _check(self, key: bytes, value: bytes, timers: set[bytes]) -> None:
        due_at = self._due_at(key, value)
        if due_at is None:
            return
        self.findings.checked["timers"] += 1
        if timer_key(due_at, key) not in timers:
            about = f"partition {self._partition}, {key.decode('utf-8', 'replace')}"
            self.findings.add("every timer is set", about, f"is due at {due_at}, and the store has no timer for it")

    def _due_at(self, key: bytes, value: bytes) -> int | None:
        if keys.kind_of(key) not in TIMED_KINDS:
            return None
        try:
            return due_of(self._codec.decode(value))
        except UndecodableRecord:
            return None
