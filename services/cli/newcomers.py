"""What is new in a list that is asked for again and again, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REMEMBERED = 5000


class Newcomers:
    """Tells rows that were not there before, the oldest first. Remembers a bounded number of ids."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._seen: dict[object, object] = {}

    def begin(self, rows: Iterable[Mapping[str, object]], state: str = "") -> None:
        """These are known."""
        for row in rows:
            self._seen[row[self._key]] = row.get(state)

    def since(self, rows: Iterable[Mapping[str, object]], state: str = "") -> list[Mapping[str, object]]:
        """Rows that are new, or whose `state` has changed. Reads on only until it meets what it knows."""
        fresh: list[Mapping[str, object]] = []
        for row in rows:
            known = row[self._key] in self._seen
            if known and self._seen[row[self._key]] == row.get(state):
                if not state:
                    break
                continue
            fresh.append(row)
        fresh.reverse()
        self.begin(fresh, state)
        while len(self._seen) > REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        return fresh
