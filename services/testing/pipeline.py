"""Matcher and executor without Kafka: the pure cores of both, over memory, one thing after the other.

Whatever a service decides is decided here by the same code: which runs an event starts, what a wait meets, how a run
advances, who holds a signal, when a cron trigger fires. What services do around it (topics, partitions, crashes) is
not here. Equal inputs in equal order give equal runs, to the id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import assert_never

from ..executor import timers
from ..executor.arrivals import Arrival, CommandArrived, FunctionsChanged, RunFact, SignalSent, StateDue
from ..executor.core import PartitionCore
from ..functions.table import FunctionTable
from ..messages.codec import Codec
from ..messages.ids import RunId
from ..messages.records import (
    ClaimSignal,
    Event,
    InvokedRunEnded,
    Record,
    ReleaseSignal,
    SignalAnswered,
    SignalClaimed,
    StartRun,
    Wait,
)
from ..runs.announcements import announcements
from ..runs.effects import CallFunction, Effect, EndAnnounced, Message, ScheduleWake, SendRequest, WaitOver
from ..runs.facts import Fact, JobDue
from ..runs.run import Run
from ..runs.turn import Rules
from ..state.memory import MemoryStore
from .events import EventLog

CACHED_RUNS = 10_000
_NEVER = (1 << 63) - 2


class Pipeline:
    """Takes events, facts and the time; what is to be asked of the outside stands in `asked`."""

    def __init__(self, table: FunctionTable, rules: Rules, now: int) -> None:
        codec = Codec()
        self.now = now
        self.table = table
        self.events = EventLog(table, codec)
        self.asked: deque[CallFunction | SendRequest] = deque()
        """Calls and requests to make, in this order; each is answered by a fact."""
        self.run_ids: dict[RunId, None] = {}
        """All runs, in the order in which they began."""
        self._state = MemoryStore().open(0)
        self._core = PartitionCore(0, 1, self._state, table, codec, rules, CACHED_RUNS)
        self._inbox: deque[Arrival] = deque()
        self._commands = 0
        self._woken_until = now

    def publish(self, event: Event) -> None:
        """An event has arrived: start and resume runs."""
        self._match(event)
        self._work()

    def command(self, command: Record) -> None:
        """A command to the owner of runs."""
        self._command(command)
        self._work()

    def tell(self, run_id: RunId, fact: Fact) -> None:
        """Something happened to a run."""
        self._inbox.append(RunFact(run_id, fact))
        self._work()

    def signal(self, name: str, data: str) -> RunId | None:
        """Hand a signal (JSON text) to the run that waits for it; None when nobody does."""
        handed: list[SignalClaimed | None] = []
        self._inbox.append(SignalSent(name, data, handed.append))
        self._work()
        return None if (claim := handed[0]) is None else claim.run_id

    def functions_changed(self) -> None:
        """The table says something new."""
        self._inbox.append(FunctionsChanged())
        self._work()

    def run(self, run_id: RunId) -> Run | None:
        return self._core.runs.load(run_id)

    def next_due(self) -> int | None:
        """When something happens by itself next (ms since 1970)."""
        start, end = timers.timers_until(self._woken_until), timers.timers_until(_NEVER)
        found = next(self._state.scan(start, end, 1), None)
        return None if found is None else timers.read_timer(found[0])[0]

    def move_to(self, now: int) -> None:
        """Let the time be `now`, never earlier than it was, and happen what is due by then."""
        self.now = max(self.now, now)
        due = list(self._state.scan(timers.timers_until(self._woken_until), timers.timers_until(self.now)))
        self._woken_until = self.now
        self._inbox.extend(StateDue(*timers.read_timer(key)) for key, _ in due)
        self._work()

    def _work(self) -> None:
        """Take what has arrived, one commit for each, and what follows from it."""
        while self._inbox:
            draft = self._core.take([self._inbox.popleft()], self.now)
            self._core.settle(draft, self._state.changelog_offset() + len(draft.records), self.now)
            self.run_ids.update((run.id, None) for run in draft.runs() if run.id not in self.run_ids)
            self._inbox.extend(draft.arrivals)
            for message in draft.messages:
                self._deliver(message)
            for effect in draft.effects:
                self._perform(effect)
            self._inbox.extend(StateDue(at, key) for at, key in draft.expiring if at <= self._woken_until)
            for told in draft.told:
                told()

    def _deliver(self, message: Message | SignalAnswered) -> None:
        match message:
            case StartRun() | InvokedRunEnded() | SignalAnswered() | ClaimSignal() | ReleaseSignal():
                self._command(message)
            case Wait():
                self._commands_of(self.events.registered(message, self.now))
            case WaitOver():
                self.events.over(message.wait_key, self.now)
            case Event():
                self._match(message)
            case EndAnnounced():
                for event in announcements(message.run, self.events.wanted):
                    self._match(event)
            case _:
                assert_never(message)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case CallFunction() | SendRequest():
                self.asked.append(effect)
            case ScheduleWake():
                if effect.due_at <= self._woken_until:
                    self._inbox.append(RunFact(effect.run_id, JobDue(effect.job_id)))
            case _:
                assert_never(effect)

    def _match(self, event: Event) -> None:
        self._commands_of(self.events.arrived(event, self.now))

    def _commands_of(self, commands: Iterator[Record]) -> None:
        for command in commands:
            self._command(command)

    def _command(self, command: Record) -> None:
        self._inbox.append(CommandArrived(self._commands, command))
        self._commands += 1
