"""Which event names have lately been matched in a partition: shapes of other names need no looking back. Pure."""

from __future__ import annotations

from collections import OrderedDict

MAX_NAMES = 10_000


class RecentNames:
    """Names with the latest reception, beyond a bound only of the names seen last."""

    def __init__(self, known_since: int, most: int = MAX_NAMES) -> None:
        """Nothing is known of events received before `known_since`."""
        self._known_since = known_since
        self._most = most
        self._latest: OrderedDict[str, int] = OrderedDict()

    def seen(self, name: str, received_at: int) -> None:
        """An event was matched."""
        latest = self._latest
        if name in latest:
            latest.move_to_end(name)
            latest[name] = max(latest[name], received_at)
            return
        latest[name] = received_at
        if len(latest) > self._most:
            forgotten = latest.popitem(last=False)[1]
            self._known_since = max(self._known_since, forgotten + 1)

    def may_have(self, name: str, since: int) -> bool:
        """False only when no event of the name that was received at `since` or later has been matched."""
        return since < self._known_since or self._latest.get(name, -1) >= since
