"""All replays: the fold of the topic `replays`.

Three records make one replay, each with one writer: what was asked for and what is wanted (people), and how far it is
(the replayer). So nobody's word overwrites another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..messages.ids import ReplayId
from ..messages.records import Replay, ReplayControl, ReplayProgress, ReplayWanted

Status = Literal["Scheduled", "Running", "Paused", "Completed", "Cancelled", "Failed"]
ReplayRecord = Replay | ReplayControl | ReplayProgress


@dataclass(frozen=True, slots=True)
class ReplayState:
    """One replay as a whole."""

    asked: Replay
    control: ReplayControl | None = None
    progress: ReplayProgress | None = None

    @property
    def wanted(self) -> ReplayWanted:
        return "run" if self.control is None else self.control.wanted

    @property
    def rate(self) -> float:
        """Runs a second, by the last word."""
        return (self.control.rate if self.control else 0.0) or self.asked.rate

    @property
    def status(self) -> Status:
        """How it is. Its end is final, whatever people say later; until then their last word counts."""
        match self.progress:
            case ReplayProgress(status="Completed"):
                return "Completed"
            case ReplayProgress(status="Failed", updated_at=at) if self.control is None or self.control.at <= at:
                return "Failed"
        if self.wanted == "cancel":
            return "Cancelled"
        if self.wanted == "pause":
            return "Paused"
        return "Running" if self.progress is not None else "Scheduled"

    @property
    def active(self) -> bool:
        """Is there something to be done?"""
        return self.status in ("Scheduled", "Running")

    def positions(self) -> dict[str, int]:
        """Where to read on."""
        return dict(self.asked.begins) | (dict(self.progress.positions) if self.progress else {})

    def total(self) -> int:
        """Records to read, gaps included."""
        return sum(end - self.asked.begins[place] for place, end in self.asked.ends.items())

    def done(self) -> int:
        """Records read."""
        ends, begins = self.asked.ends, self.asked.begins
        if self.status == "Completed" and not self.asked.limit:
            return self.total()
        return sum(max(min(at, ends[place]) - begins[place], 0) for place, at in self.positions().items())


class ReplayTable:
    """Replays by id."""

    def __init__(self) -> None:
        self.offset = -1
        """Offset of the last record that is in the table."""
        self._states: dict[ReplayId, ReplayState] = {}
        self._orphans: dict[ReplayId, list[ReplayControl | ReplayProgress]] = {}

    def apply(self, record: ReplayRecord) -> None:
        """Take the next record. Compaction may leave a replay behind what was said about it."""
        if isinstance(record, Replay):
            self._states[record.id] = ReplayState(record)
            for later in self._orphans.pop(record.id, ()):
                self._follow(later)
        elif record.id in self._states:
            self._follow(record)
        else:
            self._orphans.setdefault(record.id, []).append(record)

    def get(self, replay: ReplayId) -> ReplayState | None:
        return self._states.get(replay)

    def all(self) -> Iterable[ReplayState]:
        return self._states.values()

    def first_of(self, identity: str) -> ReplayState | None:
        """The oldest replay that names the same runs."""
        same = [state for state in self._states.values() if state.asked.identity == identity]
        return min(same, key=lambda state: state.asked.created_at, default=None)

    def _follow(self, record: ReplayControl | ReplayProgress) -> None:
        state = self._states[record.id]
        if isinstance(record, ReplayControl):
            self._states[record.id] = ReplayState(state.asked, record, state.progress)
        else:
            self._states[record.id] = ReplayState(state.asked, state.control, record)
