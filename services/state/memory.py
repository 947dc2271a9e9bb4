"""State in memory: for tests, for throw-away development, and as the shortest account of what a store does.

Nothing survives the process, which a store may do: the changelog is folded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sortedcontainers import SortedDict

from .store import Change


class _Contents:
    """What a partition holds, open or not."""

    def __init__(self) -> None:
        self.pairs: SortedDict[bytes, bytes] = SortedDict()
        self.offset = -1
        self.applied_at = 0


class MemoryPartition:
    """One partition's state as a sorted dict."""

    def __init__(self, store: MemoryStore, partition: int, contents: _Contents) -> None:
        self._store = store
        self._partition = partition
        self._open: _Contents | None = contents

    def get(self, key: bytes) -> bytes | None:
        return self._contents().pairs.get(key)

    def scan(self, start: bytes, end: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """As the port says; each pair is looked up anew, so that changes in between do no harm."""
        found = self._walk(start, end)
        return found if limit is None else islice(found, max(limit, 0))

    def apply(self, changes: Iterable[Change], changelog_offset: int, at: int) -> None:
        contents = self._contents()
        for key, value in tuple(changes):
            if value is None:
                contents.pairs.pop(key, None)
            else:
                contents.pairs[key] = value
        contents.offset = changelog_offset
        contents.applied_at = at

    def changelog_offset(self) -> int:
        return self._contents().offset

    def applied_at(self) -> int:
        return self._contents().applied_at

    def clear(self) -> None:
        contents = self._contents()
        contents.pairs.clear()
        contents.offset = -1
        contents.applied_at = 0

    def close(self) -> None:
        self._open = None
        self._store.closed(self._partition)

    def _contents(self) -> _Contents:
        if self._open is None:
            raise RuntimeError(f"the state of partition {self._partition} is closed: open it again to use it")
        return self._open

    def _walk(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        place = start
        while True:
            pairs = self._contents().pairs
            key = next(pairs.irange(place, end, inclusive=(True, False)), None) if place < end else None
            if key is None:
                return
            yield key, pairs[key]
            place = key + b"\0"


class MemoryStore:
    """Partitions in this process's memory; closing one keeps its contents for the next opening."""

    def __init__(self) -> None:
        self._contents: dict[int, _Contents] = {}
        self._open: set[int] = set()

    def open(self, partition: int) -> MemoryPartition:
        if partition in self._open:
            raise RuntimeError(f"the state of partition {partition} is open already")
        self._open.add(partition)
        return MemoryPartition(self, partition, self._contents.setdefault(partition, _Contents()))

    def partitions(self) -> Sequence[int]:
        return sorted(self._contents)

    def closed(self, partition: int) -> None:
        """A partition says that it is done with."""
        self._open.discard(partition)
