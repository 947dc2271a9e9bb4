"""All replays: the fold of the topic `replays`.

Three records make one replay, each with one writer: what was asked for and what is wanted (people), and how far it is
(the replayer). So nobody's word overwrites another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import UndecodableRecord
from ..messages.ids import ReplayId
from ..messages.incoming import LATEST_MS
from ..messages.records import Replay, ReplayControl, ReplayProgress, ReplayWanted

Status = Literal["Scheduled", "Running", "Paused", "Completed", "Cancelled", "Failed"]
ReplayRecord = Replay | ReplayControl | ReplayProgress
#: More than any release allows.
MOST_A_SECOND = 1e6


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
        known = self.progress.positions if self.progress else {}
        return {place: known.get(place, begin) for place, begin in self.asked.begins.items()}

    def total(self) -> int:
        """Records to read, gaps included."""
        return sum(end - self.asked.begins[place] for place, end in self.asked.ends.items())

    def done(self) -> int:
        """Records read."""
        ends, begins = self.asked.ends, self.asked.begins
        if self.status == "Completed" and not self.asked.limit:
            return self.total()
        return sum(max(min(at, ends[place]) - begins[place], 0) for place, at in self.positions().items())


def usable(record: ReplayRecord) -> ReplayRecord:
    """The record, when it says what all who read it rely on; `UndecodableRecord` else."""
    match record:
        case Replay():
            _require(record.begins.keys() == record.ends.keys(), "begins and ends name other partitions")
            _require(all(map(_is_place, record.begins)), "a partition is not written as topic/number")
            _require(0 < record.rate <= MOST_A_SECOND, f"the rate is not above 0 and at most {MOST_A_SECOND:g}")
            _require_time(record.created_at, record.runs_dated, record.from_at, record.to_at)
        case ReplayControl():
            _require(0 <= record.rate <= MOST_A_SECOND, f"the rate is not from 0 to {MOST_A_SECOND:g}")
            _require_time(record.at)
        case ReplayProgress():
            _require_time(record.updated_at)
    return record


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UndecodableRecord(otherwise)


def _require_time(*times: int) -> None:
    _require(all(0 <= time <= LATEST_MS for time in times), "a time is not between 1970 and 2100")


def _is_place(place: str) -> bool:
    topic, _, number = place.rpartition("/")
    return bool(topic) and number.isascii() and number.isdigit() and len(number) < 10


class ReplayTable:
    """Replays by id."""

    def __init__(self) -> None:
        self.offset = -1
        """Offset of the last record that is in the table."""
        self._states: dict[ReplayId, ReplayState] = {}
        self._dates: dict[str, int] = {}
        self._orphans: dict[ReplayId, list[ReplayControl | ReplayProgress]] = {}

    def apply(self, record: ReplayRecord) -> None:
        """Take the next record. Compaction may leave a replay behind what was said about it.

        Equal requests that were made at once are one replay, the first: it may be under way when the second comes, and
        a run's id holds the date. So the first date counts for all replays that name the same runs.
        """
        if isinstance(record, Replay):
            self._ask(record)
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

    def _ask(self, record: Replay) -> None:
        dated = self._dates.setdefault(record.identity, record.runs_dated)
        if record.id in self._states:
            return
        self._states[record.id] = ReplayState(replace(record, runs_dated=dated))
        for later in self._orphans.pop(record.id, ()):
            self._follow(later)

    def _follow(self, record: ReplayControl | ReplayProgress) -> None:
        state = self._states[record.id]
        if isinstance(record, ReplayControl):
            self._states[record.id] = ReplayState(state.asked, record, state.progress)
        else:
            self._states[record.id] = ReplayState(state.asked, state.control, record)
