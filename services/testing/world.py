"""The world of a test: an app, the pipeline that drives its functions, and a clock that the test moves.

Between two calls of the test nothing happens. Each call lets everything happen that is due, one thing after the other:
the app is called, its answers are taken, what they start or wake is called in turn, until all runs have ended or wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from ..errors import InvalidInput, PenstockError
from ..functions.config import EventTrigger, FunctionConfig
from ..functions.registration import Registration
from ..functions.starting import start_run
from ..functions.sync import plan_sync
from ..functions.table import FunctionTable
from ..functions.triggering import event_json
from ..ingest.events import read_invocation
from ..messages.ids import FunctionKey, RunId, ulid
from ..messages.records import JobScheduled
from ..runs.details import request_of
from ..runs.effects import CallFunction, SendRequest
from ..runs.errors import function_not_registered
from ..runs.facts import CallAnswered, CancelRequested, RequestAnswered
from ..runs.gateway import OutboundRequest, outbound_request, refusal
from ..runs.outcomes import NotSent, Outcome, Responded
from ..runs.replies import Failed, Reply, Stepped
from ..runs.requests import call_headers, call_input, call_url, encode_call, fetches_state
from ..runs.run import Run
from ..runs.turn import Rules
from .app import AppUnderTest
from .clock import VirtualClock
from .pipeline import Pipeline
from .server import Interception, ServerSide
from .views import RunView, Timer, moment

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
#: Runs stay to be looked at, however long the story is.
FOREVER = timedelta(days=36_500)
MAX_CALLS = 2000
_MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")
Fetch = Callable[[OutboundRequest], Responded | NotSent]


class WorldError(PenstockError):
    """The test asks for something that this world does not have, or that would never come."""


class World:
    """An app with its functions, from `async with` on. One world at a time is open in a process."""

    def __init__(
        self,
        app: Any,
        *,
        path: str = "/api/inngest",
        at: datetime = BEGINNING,
        signing_key: str | None = None,
        fetch: Fetch | None = None,
        lookback: timedelta | None = None,
        max_calls: int = MAX_CALLS,
    ) -> None:
        """`app` is an ASGI or WSGI application that serves functions at `path`; `at` is the time that it is.

        `signing_key`: for an app that wants its calls signed, as outside of development. `fetch` answers the requests
        that steps ask the server to make (`step.fetch`, `step.ai.infer`). `lookback` is the server's setting: how long
        before it began a wait sees events; by default since the step before it. `max_calls`: how often the app is
        called while no time passes, before the world takes that for a circle.
        """
        kind = "cloud" if signing_key else "dev"
        rules = Rules(retention_ms=_millis(FOREVER), lookback=None if lookback is None else _millis(lookback))
        self._clock = VirtualClock(at)
        self._table = FunctionTable()
        self._pipeline = Pipeline(self._table, rules, self._clock.now)
        self._server = ServerSide(self._pipeline.run, lambda: self._clock.now, kind)
        self._interception = Interception(self._server.answer)
        self._app = AppUnderTest(app, path, kind, signing_key)
        self._fetch = fetch or _no_fetch
        self._max_calls = max_calls
        self._calls = 0

    async def __aenter__(self) -> Self:
        self._interception.open()
        try:
            self._clock.start()
            await self._app.sync(self._clock.now)
            await self._settle()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def now(self) -> datetime:
        return moment(self._clock.now)

    async def send(
        self,
        name: str,
        data: dict[str, Any] | None = None,
        *,
        user: dict[str, Any] | None = None,
        id: str = "",
        ts: datetime | None = None,
    ) -> list[RunView]:
        """Send an event and let happen what follows; the runs that it started, in the order of their start."""
        at = 0 if ts is None else round(ts.timestamp() * 1000)
        body = {"name": name, "data": data or {}, "user": user or {}, "id": id, "ts": at}
        self._tick()
        (event,) = self._server.take(orjson.dumps(body))
        self._pipeline.publish(event)
        await self._settle()
        return [run for run in self.runs() if event.internal_id in self._event_ids(run)]

    async def start(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> RunView:
        """Send an event that starts exactly one run; that run. `WorldError` says what it started instead."""
        runs = await self.send(name, data, **more)
        if len(runs) != 1:
            started = ", ".join(run.function for run in runs) or "no run"
            raise WorldError(f"the event {name} started {started}. {self._triggers()}")
        return runs[0]

    async def invoke(self, function: str, data: dict[str, Any] | None = None) -> RunView:
        """Start a function by its id (`app-function`), without an event of its own."""
        key = self._table.find(function)
        if key is None:
            raise WorldError(f"no function {function!r}. {self._triggers()}")
        self._tick()
        body = orjson.dumps({"data": data or {}})
        event = read_invocation(body, self._server.next_seed().id_of_invocation(), key, self._clock.now)
        start = start_run(key, event, event_json(event), self._table.offset)
        self._pipeline.command(start)
        await self._settle()
        return self._view(start.run_id)

    async def signal(self, name: str, data: Any = None) -> RunView | None:
        """Send a signal; the run that waited for it, or None."""
        self._tick()
        run_id = self._pipeline.signal(name, orjson.dumps(data).decode())
        await self._settle()
        return None if run_id is None else self._view(run_id)

    async def cancel(self, run: RunView, reason: str = "") -> None:
        """Cancel a run, as a person does."""
        self._tick()
        self._pipeline.tell(RunId(run.id), CancelRequested(reason))
        await self._settle()

    async def skip(self, **time: float) -> None:
        """Let time pass, given as for `timedelta`: everything that becomes due happens in its order, at its time."""
        await self.skip_to(self.now + timedelta(**time))

    async def skip_to(self, at: datetime) -> None:
        """Let time pass until then."""
        until = round(at.timestamp() * 1000)
        if until < self._clock.now:
            raise WorldError(f"{at} is in the past: it is {self.now}")
        await self._settle()
        while (due := self._pipeline.next_due()) is not None and due <= until:
            self._move_to(due)
            await self._settle()
        self._move_to(until)

    async def finish(self, run: RunView, *, within: timedelta = timedelta(days=400)) -> RunView:
        """Let time pass until the run has ended; `WorldError` when that does not happen by itself."""
        until = self._clock.now + _millis(within)
        await self._settle()
        while run.status == "Running":
            due = self._pipeline.next_due()
            if due is None or due > until:
                raise WorldError(f"it does not end by itself within {within}: {run!r}")
            self._move_to(due)
            await self._settle()
        return run

    def runs(self, function: str | None = None) -> list[RunView]:
        """All runs, or those of a function by its id (`app-function`), in the order of their start."""
        views = [self._view(run_id) for run_id in self._pipeline.run_ids]
        return [run for run in views if function in (None, run.function)]

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """All events so far, or those of a name: sent by the test, by functions, and by the system."""
        found = (event for event in self._pipeline.events.events if name in (None, event.name))
        return [orjson.loads(event_json(event)) for event in found]

    @property
    def timers(self) -> list[Timer]:
        """What the runs have before them, soonest first."""
        return sorted((timer for run in self.runs() for timer in run.timers), key=lambda timer: timer.at)

    async def _close(self) -> None:
        self._clock.stop()
        self._interception.close()
        await self._app.close()

    async def _settle(self) -> None:
        """Until nothing happens any more without time passing."""
        for _ in range(self._max_calls):
            self._take_over()
            if not self._pipeline.asked:
                return
            await self._perform(self._pipeline.asked.popleft())
        raise WorldError(
            f"{self._max_calls} calls while no time passed: do functions start one another in a circle? "
            "If not, allow more: World(app, max_calls=…)"
        )

    def _take_over(self) -> None:
        """What SDKs have handed in meanwhile: each event has a moment of its own."""
        for wanted in _drained(self._server.registered):
            self._register(wanted)
        events = _drained(self._server.sent)
        for event in events:
            self._tick()
            self._pipeline.publish(replace(event, received_at=self._clock.now))
        if events:
            self._tick()

    def _register(self, wanted: Registration) -> None:
        for record in plan_sync(self._table, wanted, self._clock.now).records:
            self._table.apply(record, self._table.offset + 1)
        self._pipeline.functions_changed()

    async def _perform(self, effect: CallFunction | SendRequest) -> None:
        run = self._pipeline.run(effect.run_id)
        job = run.jobs.get(effect.job_id) if run is not None and run.ended is None else None
        if run is None or job is None:
            return
        if isinstance(effect, SendRequest):
            self._pipeline.tell(run.id, RequestAnswered(job.job_id, job.attempt, self._outcome(job)))
            return
        reply = await self._call(run, job)
        self._take_over()
        self._pipeline.tell(run.id, CallAnswered(job.job_id, job.attempt, reply, self._invoked(reply)))

    async def _call(self, run: Run, job: JobScheduled) -> Reply:
        config = self._config(run.started.function)
        if config is None:
            return Failed(function_not_registered(run.started.function))
        self._calls += 1
        request_id = ulid(self._clock.now, hashlib.blake2b(str(self._calls).encode(), digest_size=10).digest())
        call = call_input(run, job, config.key, request_id)
        body = encode_call(call, allow_use_api=fetches_state(config.sdk))
        return await self._app.call(call_url(config.url, job.step_id), call_headers(call), body, self._clock.now)

    def _outcome(self, job: JobScheduled) -> Outcome:
        try:
            request = outbound_request(*request_of(job))
        except InvalidInput as error:
            return refusal(error)
        return self._fetch(request)

    def _invoked(self, reply: Reply) -> dict[str, FunctionKey]:
        ops = reply.ops if isinstance(reply, Stepped) else ()
        named = [op.opts.get("function_id") for op in ops if op.op == "InvokeFunction"]
        found = {name: self._table.find(name) for name in named if isinstance(name, str)}
        return {name: key for name, key in found.items() if key is not None}

    def _config(self, function: FunctionKey) -> FunctionConfig | None:
        registered = self._table.function(function)
        return None if registered is None else registered.config

    def _event_ids(self, run: RunView) -> Iterable[str]:
        found = self._pipeline.run(RunId(run.id))
        return () if found is None or found.started.parent_run else found.started.event_ids

    def _view(self, run_id: RunId) -> RunView:
        return RunView(run_id, self._pipeline.run)

    def _triggers(self) -> str:
        functions = [
            f"{each.config.slug} ({', '.join(t.event if isinstance(t, EventTrigger) else t.cron for t in triggers)})"
            for each in self._table.functions()
            if (triggers := each.config.triggers)
        ]
        return f"Functions and what triggers them: {'; '.join(functions) or 'none'}"

    def _tick(self) -> None:
        """What comes from outside has a moment of its own, so that before and after are told apart."""
        self._move_to(self._clock.now + 1)

    def _move_to(self, now: int) -> None:
        self._clock.move_to(now)
        self._pipeline.move_to(self._clock.now)


def _drained(waiting: list[T]) -> list[T]:
    taken, waiting[:] = list(waiting), []
    return taken


def _millis(time: timedelta) -> int:
    return time // _MILLISECOND


def _no_fetch(request: OutboundRequest) -> NotSent:
    reason = f"no request leaves a test: answer {request.method} {request.host} with World(app, fetch=…)"
    return NotSent(reason, retriable=False)
