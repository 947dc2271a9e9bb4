"""The time of a world: what the pipeline is told and what user code reads are the same.

User code and its SDK read the clock themselves (the Python SDK turns a sleep into a date). So for as long as the world
is open, `datetime.now()`, `time.time()` and their like give the world's time in the whole process. Monotonic clocks, by
which event loops run, go on.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import PenstockError
from .views import moment

if TYPE_CHECKING:
    import time_machine


class VirtualClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise PenstockError("the world's time needs a zone: datetime(2026, 1, 1, tzinfo=UTC)")
        self.now = round(at.timestamp() * 1000)
        self._travel: time_machine.travel | None = None
        self._process: time_machine.Traveller | None = None

    def start(self) -> None:
        """From now on the whole process has this time."""
        try:
            import time_machine
        except ImportError as error:
            raise PenstockError("a world needs time-machine: pip install 'penstock[testing]'") from error
        self._travel = time_machine.travel(moment(self.now), tick=False)
        self._process = self._travel.start()

    def stop(self) -> None:
        """The process has the real time again."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._process = None

    def move_to(self, now: int) -> None:
        """Never back."""
        self.now = max(self.now, now)
        if self._process is not None:
            self._process.move_to(moment(self.now))
