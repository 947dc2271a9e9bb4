"""A process that owns a partition of runs: the real core, in the real order, with deaths between its numbered steps."""

from __future__ import annotations

import random
from dataclasses import dataclass

from penstock.executor.arrivals import Arrival, CommandArrived, FunctionsChanged, RunFact, StateDue
from penstock.executor.core import PartitionCore
from penstock.executor.outgoing import Outbox
from penstock.executor.runstore import fold_changelog
from penstock.executor.shapes import KnownShapes
from penstock.executor.timers import first_timer, read_timer, timers_until
from penstock.functions.table import FunctionTable
from penstock.messages.codec import Codec
from penstock.messages.ids import JobId, RunId
from penstock.messages.keys import end_key
from penstock.runs.effects import CallFunction
from penstock.runs.facts import CallAnswered
from penstock.runs.replies import Reply
from penstock.runs.run import Run
from penstock.runs.turn import Rules
from penstock.state.memory import MemoryStore

from .broker import Broker

RULES = Rules(linear_retry_seconds=5.0, retention_ms=4000 * 24 * 3600 * 1000)
UNDER_WAY_END = timers_until(0)


class Died(Exception):
    """The process is gone; what it had committed or stored is not."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call in flight, with the memory that it was sent."""

    run_id: RunId
    job_id: JobId
    attempt: int
    step_id: str
    memory: dict[str, str]


class Owner:
    """One owning of one partition, from its take-over to its death."""

    def __init__(
        self, broker: Broker, partition: int, machine: MemoryStore, table: FunctionTable, codec: Codec
    ) -> None:
        self.partition = partition
        self.calls: list[Call] = []
        self._broker = broker
        self._codec = codec
        self._state = machine.open(partition)
        self._epoch = broker.fence(partition)
        self._outbox = Outbox(broker.topics, codec, table, KnownShapes(), lambda event: True)
        self._core = PartitionCore(partition, broker.topics.run_partitions, self._state, table, codec, RULES, 100)
        self._inbox: list[Arrival] = [FunctionsChanged()]
        self._restore()
        self._take_timers(under_way=True)

    @property
    def core(self) -> PartitionCore:
        return self._core

    def has_work(self) -> bool:
        log = self._broker.log(self._broker.topics.run_steps, self.partition)
        return bool(self._inbox) or self._core.next_command < len(log) or bool(self._due())

    def next_timer(self) -> int | None:
        """When something is due next, if nothing else happens."""
        found = next(iter(self._state.scan(UNDER_WAY_END, timers_until(1 << 62), 1)), None)
        return None if found is None else read_timer(found[0])[0]

    def answered(self, call: Call, reply: Reply, functions: dict[str, object]) -> None:
        """The answer of a call; a second one of the same call may come, too."""
        self._inbox.append(RunFact(call.run_id, CallAnswered(call.job_id, call.attempt, reply, functions)))  # type: ignore[arg-type]

    def put(self, arrival: Arrival) -> None:
        self._inbox.append(arrival)

    def turn(self, rng: random.Random, dies_after: int) -> None:
        """One commit, in the order of `PartitionOwner._turn`; `Died` right after the step of that number."""
        batch = self._next_batch(rng)
        draft = self._core.take(batch, self._broker.now)
        assert not draft.failures, "the core failed on an arrival: see the log"
        self._die(dies_after, 2)
        offset = -1
        if draft.records:
            outgoing = self._outbox.records(draft.messages, self._broker.now)
            offset = self._broker.commit(self.partition, self._epoch, draft.records, outgoing)
            self._outbox.committed(outgoing)
        self._die(dies_after, 3)
        self._core.settle(draft, offset, self._broker.now)
        self._die(dies_after, 4)
        for effect in draft.effects:
            if isinstance(effect, CallFunction):
                self._call(effect.run_id, effect.job_id)
        self._inbox += draft.arrivals
        for told in draft.told:
            told()
        self._core.release_idle(draft)

    def close(self) -> None:
        self._state.close()

    def live(self) -> list[Run]:
        """The runs that have not ended, as of the last commit."""
        ids = [RunId(key[4:].decode()) for key, _ in self._state.scan(b"run/", b"run0")]
        alive = [each for each in ids if self._state.get(end_key(each)) is None]
        return [run for each in alive if (run := self._core.runs.load(each)) is not None]

    def stored(self) -> list[tuple[bytes, bytes]]:
        """What the local state holds of the changelog."""
        return [(key, value) for key, value in self._state.scan(b"\x01", b"\xff") if key]

    def _restore(self) -> None:
        log = self._broker.log(self._broker.topics.run_state, self.partition)
        start = self._state.changelog_offset() + 1
        for at in range(start, len(log), 50):
            records = [(record.key or b"", record.value) for record in log[at : at + 50]]
            changes = fold_changelog(self._state, self._codec, records)
            self._state.apply(changes, at + len(records) - 1, self._broker.now)
        self._core.restored()

    def _next_batch(self, rng: random.Random) -> list[Arrival]:
        self._take_timers()
        log = self._broker.log(self._broker.topics.run_steps, self.partition)
        start = self._core.next_command
        commands = [
            CommandArrived(at, self._codec.decode(log[at].value or b""))
            for at in range(start, min(len(log), start + rng.randint(1, 6)))
        ]
        count = rng.randint(1, 6)
        batch = [*self._inbox[:count], *commands]
        del self._inbox[:count]
        return batch

    def _take_timers(self, *, under_way: bool = False) -> None:
        due = [key for key, _ in self._state.scan(first_timer(), UNDER_WAY_END)] if under_way else []
        known = {arrival.key for arrival in self._inbox if isinstance(arrival, StateDue)}
        for key in [*due, *self._due()]:
            timer = StateDue(*read_timer(key))
            if timer.key not in known:
                self._inbox.append(timer)

    def _due(self) -> list[bytes]:
        return [key for key, _ in self._state.scan(UNDER_WAY_END, timers_until(self._broker.now))]

    def _call(self, run_id: RunId, job_id: JobId) -> None:
        run = self._core.runs.load(run_id)
        job = run.jobs.get(job_id) if run is not None and run.ended is None else None
        if run is None or job is None or any((c.run_id, c.job_id) == (run_id, job_id) for c in self.calls):
            return
        memory = {str(step): result.output for step, result in run.steps.items()}
        self.calls.append(Call(run_id, job_id, job.attempt, job.step_id, memory))

    def _die(self, dies_after: int, step: int) -> None:
        if dies_after == step:
            raise Died
