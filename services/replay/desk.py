"""Where people ask for replays: what is asked for is checked, fixed and written, and what is wanted of it changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import PenstockError
from ..functions.config import FunctionConfig
from ..functions.table import FunctionTable
from ..messages.ids import ReplayId
from ..messages.records import ReplayControl, ReplayWanted
from ..messages.topics import Topics
from .requests import ReplayRequest, find_function, new_replay, unknown_function
from .selection import names, topics
from .table import ReplayRecord, ReplayState, ReplayTable

#: How long a function may be unknown to us before it is unknown.
REGISTRY_SECONDS = 1.0

Ranges = tuple[Mapping[str, int], Mapping[str, int]]


class NotFound(PenstockError):
    """No function, or no replay, of that name or id."""


class HasEnded(PenstockError):
    """The replay is at its end: nothing can be wanted of it any more."""


class Log(Protocol):
    """What `log.ReplayLog` does."""

    @property
    def table(self) -> ReplayTable: ...

    async def refresh(self) -> None: ...

    async def write(self, record: ReplayRecord) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes requests; `find_ranges` blocks, and says where the topics begin and end now."""

    log: Log
    functions: Callable[[], FunctionTable]
    topics: Topics
    find_ranges: Callable[[Sequence[str], int], Ranges]
    default_rate: float
    now: Callable[[], int]
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, request: ReplayRequest) -> tuple[ReplayState, bool]:
        """The replay that the request means, and whether it is new. An identical one is left as it is.

        Another process may be asked the same at the same moment: then both write, and the first record counts. Who was
        second writes the first one's words again, because compaction keeps the last record. Dying before that leaves
        the second one's for the time after the compaction.
        """
        function = await self._function(request.function)
        async with self.one_at_a_time:
            await self.log.refresh()
            return await self._ask(request, function)

    async def _ask(self, request: ReplayRequest, function: FunctionConfig) -> tuple[ReplayState, bool]:
        now = self.now()
        draft = new_replay(request, function, self.default_rate, now)
        existing = self.log.table.get(draft.id)
        if existing is not None:
            return existing, False
        wanted = names(request.event, function)
        on = list(topics(wanted, self.topics.events, self.topics.internal_events))
        ranges = await asyncio.to_thread(self.find_ranges, on, request.from_at)
        first = self.log.table.first_of(draft.identity)
        dated = first.asked.runs_dated if first is not None else 0
        ours = new_replay(request, function, self.default_rate, now, ranges, dated)
        await self.log.write(ours)
        state = self.get(ours.id)
        if state.asked != ours:
            await self.log.write(state.asked)
        return state, state.asked.created_at == ours.created_at

    async def want(self, replay: str, wanted: ReplayWanted, rate: float | None = None) -> ReplayState:
        """Say what is wanted from now on. Raises `HasEnded` when it is too late."""
        state = self.get(replay)
        if state.status == "Completed":
            raise HasEnded(f"replay {replay} is completed; ask for another one, with force if it is to be the same")
        last = max(state.control.at if state.control else 0, state.progress.updated_at if state.progress else 0)
        # The last word counts, by number, whatever the clocks of the machines say.
        await self.log.write(ReplayControl(state.asked.id, wanted, max(self.now(), last + 1), rate or state.rate))
        return self.get(replay)

    def get(self, replay: str) -> ReplayState:
        state = self.log.table.get(ReplayId(replay))
        if state is None:
            raise NotFound(f"no replay has the id {replay[:100]!r}; `penstock replays list` shows all")
        return state

    def newest(self, most: int) -> list[ReplayState]:
        return sorted(self.log.table.all(), key=lambda state: state.asked.created_at, reverse=True)[:most]

    async def _function(self, wanted: str) -> FunctionConfig:
        """An app that was registered a moment ago may not be in our table yet."""
        give_up = time.monotonic() + REGISTRY_SECONDS
        while (found := find_function(wanted, self.functions())) is None:
            if time.monotonic() > give_up:
                raise NotFound(unknown_function(wanted, self.functions()))
            await asyncio.sleep(0.05)
        return found
