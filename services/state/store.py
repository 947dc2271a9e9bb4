"""The state interface: what every implementation (memory, RocksDB, and later Redis or a coordinator) must do.

State is the fold of the changelog, so a store is a cache: deleting it costs time, never data. It keeps, beside the
changelog's own keys and values, the offset up to which it has folded, written in the same atomic step.

Keys sort as bytes. Keys that start with a zero byte are local (indexes): they are derived while applying and are
never in the changelog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

Change = tuple[bytes, bytes | None]
"""A key and its new value; None removes it."""


class PartitionState(Protocol):
    """State of one partition, used by its one owner."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def scan(self, start: bytes, end: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start ≤ key < end in key order, at most `limit`.

        What is applied while the iterator is in use may or may not be seen; nothing else is skipped or repeated.
        """

    def apply(self, changes: Iterable[Change], changelog_offset: int, at: int) -> None:
        """Make all changes and the new offset visible at once, also across a crash: all of them or none.

        `at` (ms) is remembered as the time of the last application.
        """

    def changelog_offset(self) -> int:
        """Offset of the last applied changelog record; -1 for an empty state."""

    def applied_at(self) -> int:
        """`at` of the last application, in ms; 0 for an empty state."""

    def clear(self) -> None:
        """Become empty: the changelog will be folded again from its beginning."""

    def close(self) -> None:
        """Release files and memory; further calls are errors. What was applied stays."""


class StateStore(Protocol):
    """All partitions of one process."""

    def open(self, partition: int) -> PartitionState:
        """The partition's state as it was left, or an empty one; a damaged one is emptied, not fatal.

        Opening a partition that is open is an error.
        """

    def partitions(self) -> Sequence[int]:
        """Partitions with something left from earlier."""
