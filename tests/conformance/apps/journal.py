"""What an app remembers of its own calls, so that a test can count them.

Every conformance app, in whatever language, keeps one and serves it at `GET /journal/<run id>` as a JSON list of
`{"what", "at"}`: `enter` for each time a function's code was entered, `step:<id>:<attempt>` for each time the code of
a step ran; `at` is in milliseconds since 1970.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict

HOLD_SECONDS = 30.0


class Journal:
    """Lines per run; safe to use from any thread."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        self._changed = threading.Condition()

    def note(self, run: str, what: str) -> None:
        with self._changed:
            self._lines[run].append({"what": what, "at": int(time.time() * 1000)})
            self._changed.notify_all()

    def of(self, run: str) -> list[dict[str, object]]:
        with self._changed:
            return list(self._lines.get(run, ()))

    def hold(self, run: str, what: str, times: int) -> None:
        """Return when `what` was noted `times` times; a step uses it to let something else happen first."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count(run, what) >= times, HOLD_SECONDS):
                raise TimeoutError(f"{what!r} was noted {self._count(run, what)} times, waited for {times}")

    def _count(self, run: str, what: str) -> int:
        return sum(line["what"] == what for line in self._lines.get(run, ()))
