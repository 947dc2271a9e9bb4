"""A small world for partition owners: a log that fences, an app that answers, and deaths at chosen moments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.errors import Fenced
from penstock.executor.arrivals import CommandArrived, RunFact
from penstock.executor.changelog import Pairs, TopicIds
from penstock.executor.outgoing import Outbox
from penstock.executor.partition import PartitionOwner
from penstock.executor.shapes import KnownShapes
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.kafka.produce import Outgoing
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, run_id
from penstock.messages.records import Function, StartRun, StepFinished
from penstock.messages.topics import Topics
from penstock.runs.facts import CallAnswered
from penstock.runs.replies import Reply, parse_reply
from penstock.runs.run import Run
from penstock.runs.turn import Rules
from penstock.state.memory import MemoryStore
from penstock.state.store import StateStore

FN = FunctionKey("app/app-fn")
CODEC = Codec()
T0 = 1_700_000_000_000


class Died(BaseException):
    """The process is gone: nothing after this point happens."""


@dataclass
class Log:
    """What the broker holds: committed records, and which epoch may write."""

    records: Pairs = field(default_factory=list)
    epoch: int = 0
    outgoing: list[Outgoing] = field(default_factory=list)
    topic_id: str = ""
    commands_topic_id: str = ""
    aborted: set[int] = field(default_factory=set)
    command_bounds: tuple[int, int] = (0, -1)


class LogChangelog:
    """A changelog over `Log`, with fencing by epoch. `die` names a moment of `commit` at which the process dies."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.epoch = 0
        self.die: str | None = None

    def fence(self) -> None:
        self.log.epoch += 1
        self.epoch = self.log.epoch

    def topic_ids(self) -> TopicIds:
        return TopicIds(self.log.topic_id, self.log.commands_topic_id)

    def bounds(self) -> tuple[int, int]:
        return 0, len(self.log.records)

    def holds(self, offset: int, end: int) -> bool:
        return offset not in self.log.aborted

    def command_bounds(self) -> tuple[int, int]:
        return self.log.command_bounds

    def read(self, after: int, end: int) -> Iterator[tuple[Pairs, int]]:
        for start in range(after + 1, end, 7):
            batch = [self.log.records[n] for n in range(start, min(start + 7, end)) if n not in self.log.aborted]
            yield batch, min(start + 7, end) - 1
            yield [], start

    def commit(self, records: Mapping[bytes, bytes | None], outgoing: Sequence[Outgoing]) -> int:
        if self.die == "before commit":
            raise Died
        if self.epoch != self.log.epoch:
            raise Fenced("another owner has taken over")
        self.log.records += list(records.items())
        self.log.outgoing += outgoing
        if self.die == "after commit":
            raise Died
        return len(self.log.records) - 1

    def close(self) -> None:
        pass


class Registry:
    """A registry that has read everything."""

    def __init__(self, retries: int = 4) -> None:
        self.table = FunctionTable()
        config = FunctionConfig(FN, "app", "app-fn", "fn", "http://app", (EventTrigger("e"),), retries)
        self.table.apply(Function(FN, "app", "app-fn", "fn", 1, config.to_json(), T0), 0)

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        return True

    async def end(self, timeout_seconds: float) -> int:
        return self.table.offset + 1

    async def refresh(self, timeout_seconds: float) -> None:
        pass


class App:
    """User code: asked with the run, it answers at once. Counts its calls by job."""

    def __init__(self, answer: Callable[[Run, JobId], Reply]) -> None:
        self.answer = answer
        self.calls: list[tuple[RunId, JobId]] = []
        self.dead = False

    def call(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        run = owner.load(run_id)
        if self.dead or run is None or job_id not in run.jobs:
            return
        self.calls.append((run_id, job_id))
        owner.put(RunFact(run_id, CallAnswered(job_id, run.jobs[job_id].attempt, self.answer(run, job_id))))

    def request(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        raise AssertionError("no test of this world makes requests")

    def hold(self, owner: PartitionOwner) -> None:
        pass

    async def ended(self, owner: PartitionOwner | None, older_than: float = 0.0) -> None:
        pass

    def drop(self, owner: PartitionOwner) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> int:
        return self.now


def steps(*bodies: str) -> Reply:
    return parse_reply(
        206, {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "2"}, f"[{','.join(bodies)}]".encode(), T0
    )


def returned(body: str) -> Reply:
    return parse_reply(200, {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "2"}, body.encode(), T0)


def three_steps(run: Run, job_id: JobId) -> Reply:
    """A function of three sequential steps."""
    done = len(run.steps)
    return returned('"done"') if done == 3 else steps(f'{{"op":"StepRun","id":"s{done}","data":{done}}}')


def start(name: str, dedupe: str | None = None) -> StartRun:
    return StartRun(run_id(FN, name, T0), FN, ('{"name":"e"}',), (name,), T0, dedupe_key=dedupe)


class World:
    """One partition through several lives of its owner."""

    def __init__(self, app: App, store: StateStore | None = None, rules: Rules | None = None, retries: int = 4) -> None:
        self.app = app
        self.log = Log()
        self.store = store or MemoryStore()
        self.clock = Clock()
        self.rules = rules or Rules(linear_retry_seconds=0)
        self.registry = Registry(retries)
        self.commands: list[StartRun] = []

    def owner(self, changelog: LogChangelog | None = None) -> PartitionOwner:
        return PartitionOwner(
            0,
            self.store.open(0),
            changelog or LogChangelog(self.log),
            self.registry,  # type: ignore[arg-type]
            CODEC,
            Outbox(Topics(run_partitions=1), CODEC, self.registry.table, KnownShapes(), lambda name: True),
            self.app,
            self.rules,
            self.clock,
            100,
        )

    async def deliver(self, owner: PartitionOwner) -> None:
        """What the command reader does: everything from the owner's next offset on."""
        owner.put_all([CommandArrived(i, c) for i, c in enumerate(self.commands) if i >= owner.next_command])

    async def run_until(self, owner: PartitionOwner, condition: Callable[[], bool]) -> None:
        """Let the owner work until the condition holds; its death or failure is raised here."""
        task = asyncio.create_task(owner.run())
        try:
            async with asyncio.timeout(30):
                while not condition():
                    if task.done():
                        task.result()
                    await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def step_records(self, run: RunId) -> list[StepFinished]:
        """Every StepFinished ever written for the run, repeated ones too."""
        values = [v for k, v in self.log.records if k.startswith(f"step/{run}/".encode()) and v is not None]
        return [CODEC.decode_as(StepFinished, value) for value in values]


def ended(owner: PartitionOwner, *runs: RunId) -> bool:
    return all((run := owner.load(each)) is not None and run.ended is not None for each in runs)
