"""Faults that somebody could build in: each breaks one rule of matcher or executor, and must be found out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import pytest

from penstock.executor import core
from penstock.executor.core import PartitionCore
from penstock.executor.runstore import Draft
from penstock.kafka.produce import Outgoing
from penstock.matcher import restoration
from penstock.matcher.acknowledgements import Place
from penstock.matcher.deliveries import Deliveries
from penstock.matcher.lookback import Lookback, noted
from penstock.matcher.recent_names import RecentNames
from penstock.matcher.rereading import Rereader
from penstock.matcher.restoration import Restoration
from penstock.matcher.shapes import Shape
from penstock.matcher.waits import WaitTable
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, run_id
from penstock.messages.incoming import IncomingEvents
from penstock.messages.records import CorrelatedEvent, ResumeRun, StartRun, Wait
from penstock.messages.topics import Topics
from penstock.runs import answers, invocations, waits
from penstock.runs.advance import Advance
from penstock.runs.facts import CancelRequested, Fact
from penstock.runs.replies import Op
from penstock.runs.run import Run
from penstock.runs.turn import Rules, Turn
from tests.unit.matcher.logs import StoredOffsets

Mutant = Callable[[pytest.MonkeyPatch], None]


class _Hasty(Deliveries):
    """Takes for delivered what is only on its way."""

    def __init__(self, real: Deliveries) -> None:
        self._real = real

    async def deliver(self, records: Sequence[Outgoing]) -> None:
        await self._real.send(records, lambda: None)


def lookback_progress_stored_too_early(patch: pytest.MonkeyPatch) -> None:
    """It says how far shapes have been looked back for before what was found has arrived."""
    run = Rereader.run

    async def hasty(
        self: Rereader, incoming: IncomingEvents, deliveries: Deliveries, codec: Codec, topics: Topics
    ) -> None:
        await run(self, incoming, _Hasty(deliveries), codec, topics)

    patch.setattr(Rereader, "run", hasty)


def lookback_progress_stored_apart(patch: pytest.MonkeyPatch) -> None:
    """A note that counts as stored whenever it is known, whatever offset is stored and by whom."""

    def read(self: StoredOffsets, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        return {place: (offset, noted(10**6)) for place, offset in self.read(tuple(places)).items()}

    patch.setattr(StoredOffsets, "noted", read)


def correlation_dropped_when_its_shape_is_new(patch: pytest.MonkeyPatch) -> None:
    """What was matched before a shape was known is never correlated by it."""

    def learned(self: Lookback, shapes: Iterable[Shape]) -> None:
        tuple(shapes)

    patch.setattr(Lookback, "learned", learned)


def earlier_owners_names_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What an earlier owner has matched does not count as seen, so nobody looks back for it."""
    init = RecentNames.__init__

    def ignorant(self: RecentNames, known_since: int) -> None:
        init(self, 0)

    patch.setattr(RecentNames, "__init__", ignorant)


def wait_restored_without_its_since(patch: pytest.MonkeyPatch) -> None:
    """A wait that nobody had settled looks back on nothing when it is restored."""
    read = restoration.read_wait

    def forgetful(codec: Codec, key: bytes, value: bytes) -> Wait:
        wait = read(codec, key, value)
        return replace(wait, since=wait.registered_at)

    patch.setattr(restoration, "read_wait", forgetful)


def events_not_restored(patch: pytest.MonkeyPatch) -> None:
    """A new owner of a wait partition does not know the events that were handed over to the one before."""

    def skipped(self: Restoration, records: object) -> None:
        return None

    patch.setattr(Restoration, "_remember", skipped)


def wait_does_not_look_back(patch: pytest.MonkeyPatch) -> None:
    """An event that came to its partition before its wait is missed."""
    patch.setattr(WaitTable, "looked_back", lambda self, wait: iter(()))


def event_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """An event is shown to the waits that are there, and forgotten."""

    def forgotten(self: WaitTable, events: Iterable[tuple[CorrelatedEvent, bytes]], offset: int, now: int) -> None:
        tuple(events)

    patch.setattr(WaitTable, "remember", forgotten)


def acknowledged_before_delivery(patch: pytest.MonkeyPatch) -> None:
    """A record counts as done with while its commands are on their way."""
    send = Deliveries.send

    async def hasty(self: Deliveries, records: Sequence[Outgoing], delivered: Callable[[], object]) -> None:
        delivered()
        await send(self, records, lambda: None)

    patch.setattr(Deliveries, "send", hasty)


def duplicate_start_not_deduplicated(patch: pytest.MonkeyPatch) -> None:
    """A second event of one id starts a second run."""

    def new(self: Draft, function: FunctionKey, event_id: str, now: int) -> RunId | None:
        return None

    patch.setattr(Draft, "deduplicated", new)


def applied_offset_ignored(patch: pytest.MonkeyPatch) -> None:
    """A new owner of runs takes all commands once more."""

    def from_the_beginning(self: PartitionCore) -> None:
        self.next_command = 0

    patch.setattr(PartitionCore, "restored", from_the_beginning)


def commands_skipped(patch: pytest.MonkeyPatch) -> None:
    """A new owner of runs begins behind the command that follows the last applied one."""
    restored = PartitionCore.restored

    def too_far(self: PartitionCore) -> None:
        restored(self)
        self.next_command += 1 if self.next_command else 0

    patch.setattr(PartitionCore, "restored", too_far)


def cancels_dropped(patch: pytest.MonkeyPatch) -> None:
    """Who cancels a run is told that it is, and nothing else comes of it."""
    real = core.advance

    def deaf(run: Run | None, fact: Fact, now: int, rules: Rules) -> Advance:
        return Advance(run) if isinstance(fact, CancelRequested) else real(run, fact, now, rules)

    patch.setattr(core, "advance", deaf)


def cancel_events_dropped(patch: pytest.MonkeyPatch) -> None:
    """Events that cancel runs are met, and nothing comes of it."""
    met = waits.met

    def deaf(turn: Turn, event: ResumeRun) -> None:
        job = turn.run.jobs.get(event.job_id)
        if job is None or job.kind != "cancel":
            met(turn, event)

    patch.setattr(waits, "met", deaf)


def sleeps_are_over_at_once(patch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps."""

    def awake(op: Op, now_ms: int) -> int:
        return now_ms

    patch.setattr(answers, "sleep_until", awake)


def waits_give_up_early(patch: pytest.MonkeyPatch) -> None:
    """A wait for an event lasts half as long as it should."""
    real = waits.deadline

    def impatient(name: str, text: object, now: int) -> int:
        return now + (real(name, text, now) - now) // 2

    patch.setattr(waits, "deadline", impatient)


def invoked_twice(patch: pytest.MonkeyPatch) -> None:
    """An invoked function is started two times; the first run that ends gives the result."""
    start = invocations._start

    def twice(turn: Turn, op: Op, mode: str, job_id: JobId, target: FunctionKey, until: int) -> None:
        start(turn, op, mode, job_id, target, until)
        asked = turn.messages[-1]
        assert isinstance(asked, StartRun)
        turn.messages.append(replace(asked, run_id=run_id(target, "again " + asked.run_id, turn.now)))

    patch.setattr(invocations, "_start", twice)


MUTANTS: tuple[Mutant, ...] = (
    lookback_progress_stored_apart,
    lookback_progress_stored_too_early,
    correlation_dropped_when_its_shape_is_new,
    earlier_owners_names_forgotten,
    wait_restored_without_its_since,
    events_not_restored,
    wait_does_not_look_back,
    event_not_remembered,
    acknowledged_before_delivery,
    duplicate_start_not_deduplicated,
    applied_offset_ignored,
    commands_skipped,
    cancels_dropped,
    cancel_events_dropped,
    sleeps_are_over_at_once,
    waits_give_up_early,
    invoked_twice,
)
