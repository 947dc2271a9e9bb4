"""The owner of one partition of runs: one writer, one order of things.

Whatever happens to the partition's runs arrives in its inbox and is taken in batches. What a batch changes is decided
in `core`; see `PartitionOwner._turn` for the order in which it becomes true.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from ..errors import Unavailable
from ..kafka.produce import Outgoing, require_room
from ..kafka.registry import FunctionRegistry
from ..messages.codec import Codec
from ..messages.ids import FunctionKey, JobId, RunId
from ..messages.records import StartRun
from ..messages.topics import DAY_MS
from ..runs.effects import CallFunction, Effect, ScheduleWake, SendRequest
from ..runs.facts import JobDue
from ..runs.run import Run
from ..runs.turn import Rules
from ..state.origin import is_folded_from, remember_origin
from ..state.store import PartitionState
from . import timers
from .applied import UNKNOWN_LOG, CommandLog, ends_too_early
from .arrivals import Arrival, CommandArrived, FunctionsChanged, RunFact, StateDue
from .changelog import Changelog
from .core import PartitionCore
from .inbox import Inbox
from .outgoing import Outbox
from .runstore import Draft, fold_changelog

log = logging.getLogger(__name__)

#: A local state that has not been written for longer may have missed tombstones that compaction has removed since.
MAX_LOCAL_AGE_MS = DAY_MS // 2
MAX_BATCH = 500
#: Payload after which a commit takes in no more, so that a transaction stays well within what the producer may queue.
MAX_BATCH_CHARACTERS = 32 * 1024 * 1024
#: Timers taken from the index at once, so that a million due ones do not hold up what else arrives.
MAX_TIMERS = 500
#: How long an end of the commands that lies before what is applied is not believed.
SETTLING_SECONDS = 5.0
#: How long a start waits for its function to be known here, when the matcher has seen more of the registry.
REGISTRY_TIMEOUT_SECONDS = 10.0


class CallMaker(Protocol):
    """Calls apps. An answer comes back to the owner as `CallAnswered`."""

    def call(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the call, now or when the app has room for it. Never blocks, never raises."""

    def request(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the HTTP request that a job describes; like `call`, answered as `RequestAnswered`."""

    def hold(self, owner: PartitionOwner) -> None:
        """Begin no further call for the owner; its next one will. Those under way go on."""

    async def ended(self, owner: PartitionOwner | None, older_than: float = 0.0) -> None:
        """Return when no call of the owner (None: of anybody) has been under way for so many seconds; those that
        ended have been answered."""

    def drop(self, owner: PartitionOwner) -> None:
        """Forget the owner's calls: its partition is no longer ours."""


class PartitionOwner:
    """Drives the runs of one partition from `open` to `close`.

    After an error that leaves a commit in doubt, `run` ends with it: the partition is then opened anew by whoever
    owns the group membership. That is the only way to recover, whatever went wrong.
    """

    def __init__(
        self,
        partition: int,
        state: PartitionState,
        changelog: Changelog,
        registry: FunctionRegistry,
        codec: Codec,
        outbox: Outbox,
        calls: CallMaker,
        rules: Rules,
        clock: Callable[[], int],
        cached_runs: int,
    ) -> None:
        self.partition = partition
        self._state = state
        self._changelog = changelog
        self._registry = registry
        self._codec = codec
        self._outbox = outbox
        self._calls = calls
        self._clock = clock
        self._core = PartitionCore(partition, outbox.run_partitions, state, registry.table, codec, rules, cached_runs)
        self._inbox = Inbox()
        self._arrived = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, f"partition-{partition}")
        self._timer_cursor = timers.first_timer()
        self._timers_seen_until = 0
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at = 0
        self._due_waiting = 0
        self._more_is_due = False
        self._commands = UNKNOWN_LOG
        self._outgoing: Sequence[Outgoing] = ()
        """Messages of the draft that was sealed last."""
        self._max_batch = MAX_BATCH
        self._latest = 0
        self._in_vain = -1
        self._reason_to_end = ""
        self.closed = False

    @property
    def next_command(self) -> int:
        """Offset of the first command that is not part of the state."""
        return self._core.next_command

    @property
    def waiting(self) -> int:
        """Arrivals that are not taken yet."""
        return len(self._inbox)

    @property
    def waiting_size(self) -> int:
        """Characters of payload in them, about."""
        return self._inbox.size

    def begin_with(self, arrivals: int) -> None:
        """Take no more than so many into the first commit; each that succeeds doubles it.

        A batch that could not be committed is not tried again as a whole.
        """
        self._max_batch = min(max(arrivals, 1), MAX_BATCH)

    async def open(self) -> None:
        """Take the partition over: fence, restore to the end of the changelog, find what is due.

        Fencing comes first, so that nothing can be added behind what was restored.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._take_over)
        self._core.restored(self._commands)
        # What the previous owner did by a newer table must not be undone by an older one.
        await self._registry.refresh(REGISTRY_TIMEOUT_SECONDS)
        self.put(FunctionsChanged())
        self._take_timers()

    async def run(self) -> None:
        """Take what arrives until cancelled, until a commit fails, or until `end`."""
        while True:
            if not self._inbox:
                self._at_rest.set()
            await self._arrived.wait()
            if self._reason_to_end:
                raise Unavailable(self._reason_to_end)
            await self._turn(self._next_batch())
            if self._more_is_due and not self._due_waiting:
                self._take_timers()

    def end(self, reason: str) -> None:
        """Let `run` end with `Unavailable` before its next commit, so that the partition is opened anew."""
        self._reason_to_end = reason
        self._arrived.set()

    def _next_batch(self) -> list[Arrival]:
        """What one commit takes in: bounded in number and in size, but never nothing."""
        batch = self._inbox.take(self._max_batch, MAX_BATCH_CHARACTERS)
        if not self._inbox:
            self._arrived.clear()
        return batch

    def put(self, arrival: Arrival) -> None:
        """Add to the inbox. After `close`, nothing happens: the next owner will find out by itself."""
        self.put_all((arrival,))

    def put_all(self, arrivals: Sequence[Arrival]) -> None:
        if arrivals and not self.closed:
            self._inbox.put_all(arrivals)
            self._arrived.set()
            self._at_rest.clear()

    def load(self, run_id: RunId) -> Run | None:
        """The run as of the last commit, from memory or state."""
        return self._core.runs.load(run_id)

    def started_for(self, function: FunctionKey, event_id: str) -> RunId | None:
        """The run that the function started for an event id within the last day, as of the last commit."""
        return self._core.runs.draft().deduplicated(function, event_id, self._now())

    async def long_calls_ended(self, seconds: float) -> None:
        """Serve on, and return when none of the calls under way has been so for this long."""
        await self._calls.ended(self, seconds)

    async def come_to_rest(self) -> None:
        """Make no further call; return when those under way are answered and all that arrived is committed.

        The runs then stand in the changelog as the next owner continues them, and no call is made twice. Returns
        only while `run` goes on: whoever waits must have a bound.
        """
        self._calls.hold(self)
        await self._calls.ended(self)
        await self._at_rest.wait()

    async def close(self) -> None:
        """Stop writing and let go of the files. Runs under way are continued by the next owner."""
        self.closed = True
        if self._wake is not None:
            self._wake.cancel()
        self._inbox.clear()
        self._calls.drop(self)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._changelog.close)
        finally:
            # Whatever happens: a state that stays open can never be opened again.
            await loop.run_in_executor(self._thread, self._state.close)
            self._thread.shutdown(wait=False)

    def _take_over(self) -> None:
        self._changelog.fence()
        state = self._state
        first, end = self._changelog.bounds()
        age = self._clock() - state.applied_at()
        offset = state.changelog_offset()
        origin, commands_id = self._changelog.topic_ids()
        fits = age <= MAX_LOCAL_AGE_MS and first - 1 <= offset < end and is_folded_from(state, origin)
        if offset >= 0 and not (fits and self._changelog.holds(offset, end)):
            # Too old to be brought up to date, ahead of the changelog, folded from another of the same name, or from a
            # commit that Kafka confirmed and did not keep.
            log.warning("partition %s: local state does not fit the changelog, rebuilding it", self.partition)
            state.clear()
        remember_origin(state, origin, self._clock())
        folded, began = 0, self._clock()
        for records, offset in self._changelog.read(state.changelog_offset(), end):
            if self.closed:
                raise Unavailable("closed while its changelog was read")
            if records:
                state.apply(fold_changelog(state, self._codec, records), offset, self._clock())
                folded += len(records)
        seconds = (self._clock() - began) / 1000
        self._commands = self._command_log(commands_id)
        log.info("partition %s: restored from %s changelog records in %.2f s", self.partition, folded, seconds)

    def _command_log(self, topic_id: str) -> CommandLog:
        """Where commands are. A broker that has just come up may name an end before what it holds: then ask again."""
        give_up = time.monotonic() + SETTLING_SECONDS
        while True:
            commands = CommandLog(topic_id, *self._changelog.command_bounds())
            applied = self._core.runs.offset_applied()
            if not ends_too_early(commands, applied) or time.monotonic() > give_up:
                return commands
            time.sleep(0.2)

    async def _turn(self, batch: Sequence[Arrival]) -> None:
        """Make a batch of arrivals true, in this order:

        1. take what arrived, as facts;
        2. `advance` each run: entries and effects;
        3. one transaction: the entries, the applied command offset, the messages to others;
        4. the same entries into the state, with the changelog offset, in one step;
        5. only now the effects: calls, timers, answers to whoever asked.

        A crash after 1 or 2 loses nothing: commands are read again, calls under way are made again. After 3 the state
        catches up from the changelog. After 4 the calls stand in the index as under way. A failed commit raises, and
        the partition is opened anew.
        """
        await self._know_functions(batch)
        now = self._now()
        draft = self._core.take(batch, now, partial(self._seal, now))
        self._put_back(draft.left)
        taken = len(batch) - len(draft.left)
        self._due_waiting -= sum(isinstance(arrival, StateDue) for arrival in batch[:taken])
        offset = -1
        if draft.records:
            loop = asyncio.get_running_loop()
            offset = await loop.run_in_executor(self._thread, self._changelog.commit, draft.records, self._outgoing)
            if self.closed:
                return
            self._outbox.committed(self._outgoing)
            self._max_batch = min(2 * self._max_batch, MAX_BATCH)
        self._core.settle(draft, offset, now)
        for due_at, key in draft.expiring:
            self._expect(StateDue(due_at, key))
        self._perform(draft.effects)
        self.put_all(draft.arrivals)
        for told in draft.told:
            told()
        self._core.release_idle(draft)

    def _seal(self, now: int, draft: Draft) -> None:
        """Make the draft's messages; raises `InvalidInput` when Kafka would not take one of its records."""
        self._outgoing = [*self._outbox.records(draft.messages, now), *self._outbox.letters(draft, now)]
        for key, value in draft.records.items():
            require_room("run-state", key, value)
        for record in self._outgoing:
            require_room(record.topic, record.key, record.value)

    def _put_back(self, left: Sequence[Arrival]) -> None:
        """What a commit had no room for comes first in the next."""
        if left and not self.closed:
            self._inbox.put_back(left)
            self._arrived.set()

    async def _know_functions(self, batch: Sequence[Arrival]) -> None:
        """Cause before effect: a start waits until the function that it is for is known here.

        Raises `Unavailable` while it is not; what does not exist is not waited for.
        """
        needed = max(
            (
                a.command.registry_offset
                for a in batch
                if isinstance(a, CommandArrived) and isinstance(a.command, StartRun)
            ),
            default=-1,
        )
        known = self._registry.table.offset
        if needed <= known or needed >= self._in_vain > known:
            return  # an offset that did not come once is not waited for again
        if await self._registry.reached(needed, REGISTRY_TIMEOUT_SECONDS):
            return
        end = await self._registry.end(REGISTRY_TIMEOUT_SECONDS)
        if needed < end:
            raise Unavailable(f"functions have been read up to {known} only, and a start needs {needed}")
        self._in_vain = needed
        log.warning("partition %s: a start names functions up to %s, but there are %s", self.partition, needed, end)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case CallFunction():
                    self._calls.call(self, effect.run_id, effect.job_id)
                case SendRequest():
                    self._calls.request(self, effect.run_id, effect.job_id)
                case ScheduleWake():
                    self._schedule(effect)

    def _schedule(self, effect: ScheduleWake) -> None:
        if effect.due_at <= self._timers_seen_until:
            # The index has been read past its place already.
            self.put(RunFact(effect.run_id, JobDue(effect.job_id)))
        else:
            self._wake_no_later_than(effect.due_at)

    def _expect(self, due: StateDue) -> None:
        """Something that expires stands in the index now."""
        if due.due_at <= self._timers_seen_until:
            self._put_due(due)
        else:
            self._wake_no_later_than(due.due_at)

    def _put_due(self, due: StateDue) -> None:
        self._due_waiting += 1
        self.put(due)

    def _take_timers(self) -> None:
        """Put what is due into the inbox, and wake up again for the next.

        Of much that is due only a portion is put; the next one follows when that has been taken.
        """
        now = self._now()
        end = timers.timers_until(now)
        due = list(self._state.scan(self._timer_cursor, end, MAX_TIMERS))
        for key, _ in due:
            self._put_due(StateDue(*timers.read_timer(key)))
        self._more_is_due = len(due) == MAX_TIMERS
        if self._more_is_due:
            self._timer_cursor = due[-1][0] + b"\x00"
            self._timers_seen_until = max(self._timers_seen_until, timers.read_timer(due[-1][0])[0])
            return
        self._timer_cursor = end
        self._timers_seen_until = now
        following = next(iter(self._state.scan(end, timers.timers_until((1 << 63) - 2), 1)), None)
        if following is not None:
            self._wake_no_later_than(timers.read_timer(following[0])[0])

    def _wake_no_later_than(self, due_at: int) -> None:
        if self.closed or (self._wake is not None and self._wake_at <= due_at):
            return
        if self._wake is not None:
            self._wake.cancel()
        delay = min(max(due_at - self._now(), 0), 3_600_000) / 1000
        self._wake_at = due_at
        self._wake = asyncio.get_running_loop().call_later(delay, self._woken)

    def _woken(self) -> None:
        self._wake = None
        if self.closed or self._more_is_due:
            return
        try:
            self._take_timers()
        except Unavailable as error:  # nobody would look at the index again
            self.end(str(error))

    def _now(self) -> int:
        """The clock, never backwards: what the index was read past must not be in the future again."""
        self._latest = max(self._latest, self._clock())
        return self._latest
