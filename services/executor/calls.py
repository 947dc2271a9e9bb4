"""Calls to apps: bounded per app, outside of any commit, answered to the run's owner.

An app that hangs or fails fills only its own queue. What waits in a queue is a pair of ids; the request is built
when its turn comes, from the run's memory as it is then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..errors import InvalidInput
from ..exhaustion import end_if_out_of_memory
from ..functions.config import FunctionConfig
from ..functions.table import FunctionTable
from ..messages.ids import FunctionKey, JobId, RunId
from ..messages.records import JobScheduled
from ..runs.details import request_of
from ..runs.errors import error_text, function_not_registered
from ..runs.facts import CallAnswered, Fact, JobDue, RequestAnswered
from ..runs.gateway import OutboundRequest, outbound_request, refusal
from ..runs.outcomes import Outcome
from ..runs.replies import Failed, Reply, Stepped
from ..runs.requests import call_headers, call_input, call_url, encode_call, fetches_state
from ..runs.run import Run
from .arrivals import RunFact
from .call import FunctionCall, FunctionCaller
from .partition import PartitionOwner

log = logging.getLogger(__name__)


class RequestSender(Protocol):
    """Makes HTTP requests to other people's servers."""

    async def send(self, request: OutboundRequest) -> Outcome:
        """The answer, or why there is none. Never raises, ends within a bounded time."""

    async def close(self) -> None:
        """Abandon what is under way, let go of connections."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    owner: PartitionOwner
    run_id: RunId
    job_id: JobId
    answer: Callable[[_Waiting, Run, JobScheduled], Awaitable[Fact]]


@dataclass(frozen=True, slots=True)
class _UnderWay:
    owner: PartitionOwner
    since: float


@dataclass(slots=True)
class _AppLine:
    """The calls of one app: those in flight are counted, the others stand in line."""

    in_flight: int = 0
    line: deque[_Waiting] = field(default_factory=deque)


class CallQueue:
    """The `CallMaker` of every partition in this process."""

    def __init__(
        self,
        caller: FunctionCaller,
        sender: RequestSender,
        table: FunctionTable,
        max_calls_per_app: int,
        new_id: Callable[[], str],
    ) -> None:
        self._caller = caller
        self._sender = sender
        self._table = table
        self._max_calls_per_app = max_calls_per_app
        self._new_id = new_id
        self._apps: dict[str, _AppLine] = {}
        self._outstanding: dict[PartitionOwner, dict[tuple[RunId, JobId], str]] = {}
        self._tasks: dict[asyncio.Task[None], _UnderWay] = {}
        self._held: set[PartitionOwner] = set()

    def call(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the call, now or when the app has room; one that is queued or in flight is not made twice."""
        self._stand_in_line(_Waiting(owner, run_id, job_id, self._answer), app_of(owner.load(run_id)))

    def request(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> None:
        """Make the job's HTTP request, in a line of its own beside the calls to its app."""
        line = f"{app_of(owner.load(run_id))} requests"
        self._stand_in_line(_Waiting(owner, run_id, job_id, self._outcome), line)

    def dispatch_of(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> str | None:
        """The id of the request that calls the app for this job right now, or None."""
        return self._outstanding.get(owner, {}).get((run_id, job_id)) or None

    def _stand_in_line(self, waiting: _Waiting, app: str) -> None:
        if waiting.owner in self._held:
            return
        outstanding = self._outstanding.setdefault(waiting.owner, {})
        if (waiting.run_id, waiting.job_id) in outstanding:
            return
        outstanding[waiting.run_id, waiting.job_id] = ""
        line = self._apps.setdefault(app, _AppLine())
        line.line.append(waiting)
        self._serve(app, line)

    def hold(self, owner: PartitionOwner) -> None:
        """Calls in line are forgotten, further ones not taken: the partition's next owner makes them."""
        self._held.add(owner)
        for line in self._apps.values():
            if any(waiting.owner is owner for waiting in line.line):
                line.line = deque(waiting for waiting in line.line if waiting.owner is not owner)

    async def ended(self, owner: PartitionOwner | None, older_than: float = 0.0) -> None:
        """As the port says. Others may come of age while the older ones end, so it looks again."""
        while tasks := self._older(owner, older_than):
            await asyncio.wait(tasks)

    def _older(self, owner: PartitionOwner | None, seconds: float) -> list[asyncio.Task[None]]:
        until = asyncio.get_running_loop().time() - seconds
        return [t for t, each in self._tasks.items() if owner in (None, each.owner) and each.since <= until]

    def drop(self, owner: PartitionOwner) -> None:
        """Calls in line are forgotten, those in flight abandoned: the partition's next owner makes them again."""
        self.hold(owner)
        self._outstanding.pop(owner, None)
        for task, each in self._tasks.items():
            if each.owner is owner:
                task.cancel()
        self._held.discard(owner)

    async def close(self) -> None:
        """Abandon what is in flight: its owners, present or next, will call again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=5.0)
        await self._caller.close()
        await self._sender.close()

    def _serve(self, app: str, line: _AppLine) -> None:
        while line.line and line.in_flight < self._max_calls_per_app:
            waiting = line.line.popleft()
            if waiting.owner not in self._outstanding:
                continue
            line.in_flight += 1
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._make(waiting))
            self._tasks[task] = _UnderWay(waiting.owner, loop.time())
            task.add_done_callback(partial(self._made, app, line))
        if not line.line and not line.in_flight:
            self._apps.pop(app, None)

    def _made(self, app: str, line: _AppLine, task: asyncio.Task[None]) -> None:
        """Also told of a task that was cancelled before it began."""
        del self._tasks[task]
        line.in_flight -= 1
        self._serve(app, line)

    async def _make(self, waiting: _Waiting) -> None:
        """Whatever happens, the owner hears of it: a call that ended unheard would leave its run waiting for good."""
        fact: Fact | None
        try:
            fact = await self._fact(waiting)
        except Exception as error:
            end_if_out_of_memory(error)
            log.exception("run %s: the owner is to look at %s again", waiting.run_id, waiting.job_id)
            fact = JobDue(waiting.job_id)
        # Forgotten before it is answered, so that the answer's own effects can call for this job again.
        self._outstanding.get(waiting.owner, {}).pop((waiting.run_id, waiting.job_id), None)
        if fact is not None:
            waiting.owner.put(RunFact(waiting.run_id, fact))

    async def _fact(self, waiting: _Waiting) -> Fact | None:
        """None when there is nothing to call for any more."""
        run = waiting.owner.load(waiting.run_id) if not waiting.owner.closed else None
        job = run.jobs.get(waiting.job_id) if run is not None and run.ended is None else None
        if run is None or job is None:
            return None
        return await waiting.answer(waiting, run, job)

    async def _answer(self, waiting: _Waiting, run: Run, job: JobScheduled) -> Fact:
        reply = await self._ask(waiting.owner, run, job)
        return CallAnswered(job.job_id, job.attempt, reply, self._invoked(reply))

    async def _outcome(self, _waiting: _Waiting, _run: Run, job: JobScheduled) -> Fact:
        return RequestAnswered(job.job_id, job.attempt, await self._send(job))

    async def _send(self, job: JobScheduled) -> Outcome:
        try:
            request = outbound_request(*request_of(job))
        except InvalidInput as error:
            return refusal(error)
        return await self._sender.send(request)

    def _invoked(self, reply: Reply) -> dict[str, FunctionKey]:
        """The functions that the reply wants to invoke, as far as they are registered."""
        if not isinstance(reply, Stepped):
            return {}
        named = [op.opts.get("function_id") for op in reply.ops if op.op == "InvokeFunction"]
        found = {name: self._table.find(name) for name in named if isinstance(name, str)}
        return {name: key for name, key in found.items() if key is not None}

    async def _ask(self, owner: PartitionOwner, run: Run, job: JobScheduled) -> Reply:
        try:
            request_id = self._new_id()
            self._outstanding[owner][run.id, job.job_id] = request_id
            config = self._config(run)
            request = None if config is None else self._request(config, run, job, request_id)
        except Exception as error:  # one odd function or step must end in an error, not in silence
            end_if_out_of_memory(error)
            log.exception("run %s: no request can be made for %s", run.id, job.job_id)
            return Failed(error_text("InvalidRequest", f"no request can be made for this call: {error!r}"))
        if request is None:
            return Failed(function_not_registered(run.started.function))
        return await self._caller.call(request)

    def _config(self, run: Run) -> FunctionConfig | None:
        """The function as it is registered now, or as it last was: a run that is under way goes on."""
        key = run.started.function
        registered = self._table.function(key)
        if registered is not None:
            return registered.config
        record = self._table.record(key)
        return None if record is None else FunctionConfig.from_json(record.config)

    def _request(self, config: FunctionConfig, run: Run, job: JobScheduled, request_id: str) -> FunctionCall:
        call = call_input(run, job, config.key, request_id)
        body = encode_call(call, allow_use_api=fetches_state(config.sdk))
        return FunctionCall(
            app=config.app, url=call_url(config.url, job.step_id), headers=call_headers(call), body=body
        )


def app_of(run: Run | None) -> str:
    """The app whose function the run runs."""
    return run.started.function.partition("/")[0] if run is not None else ""
