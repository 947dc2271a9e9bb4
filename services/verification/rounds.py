"""One seed on a real installation: its functions are registered, events sent, and every run is held to its program."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import orjson

from .errands import Errands
from .mischief import Mischief, Trouble
from .programs import REAL, RETRIES, Step, ancestors, outcome, programs
from .reckoning import SeenRun, agrees, judge, judge_roots
from .served import App, ServedApps, registration
from .stuck import Describe, Stuck, description
from .usercode import Answer, Call, UserCode
from .watch import ChangelogWatch

LOOK_SECONDS = 0.25
#: What part of the events is sent twice, is followed by poison; what part of the runs is cancelled.
AGAIN = 0.1
POISON = 0.02
CANCELLED = 0.05

Errand = Callable[[], Awaitable[None]]


class Violation(AssertionError):
    """What must always hold did not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`runs` events a round, `rate` a second. After `patience` seconds without anything happening a round is stuck."""

    runs: int = 100
    rate: float = 20.0
    functions: int = 4
    patience: float = 90.0
    poison: bool = False
    """Also send bytes that are no events; they stay as dead letters."""


@dataclass(slots=True)
class Counts:
    """What happened, so that a verification in which nothing happens can be told from one that holds."""

    events: int = 0
    runs: int = 0
    steps: int = 0
    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.runs += other.runs
        self.steps += other.steps
        self.calls += other.calls
        self.statuses += other.statuses
        self.troubles += other.troubles

    def __str__(self) -> str:
        ended = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        troubles = ", ".join(f"{count} {what}" for what, count in sorted(self.troubles.items()))
        return (
            f"{self.events} events, {self.runs} runs ({ended}), {self.steps} steps, {self.calls} calls; "
            f"answers of the app and others: {troubles or 'all well'}"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What a round works with."""

    errands: Errands
    watch: ChangelogWatch
    apps: ServedApps
    app_url: str
    """Where executors reach the apps."""
    describe: Describe


class Round:
    """One seed. `nonce` tells this playing of it from every other on the same installation."""

    def __init__(self, seed: int, nonce: str, plan: Plan, place: Place) -> None:
        self.seed = seed
        self._plan = plan
        self._place = place
        self._rng = random.Random(seed)
        self._mischief = Mischief(seed)
        self.code = UserCode(f"verify-{seed}-{nonce}", programs(self._rng, plan.functions, REAL))
        self._must = [dict(outcome(program, self.code.programs).results) for program in self.code.programs]
        self._counts = Counts(events=plan.runs)
        self._tainted: set[int] = set()
        self._known: set[tuple[int, str]] = set()
        self._promised: set[tuple[int, str]] = set()
        self._wrong: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._called_at = time.monotonic()

    async def play(self) -> Counts:
        """`Violation` or `Stuck`, with all that is known, when something that must hold does not."""
        place, app = self._place, self.code.app
        place.watch.add(app)
        place.apps.add(app, App(self._answer, self._register))
        await self._register()
        self._called_at = time.monotonic()
        feeding = asyncio.create_task(self._feed())
        try:
            await self._until_quiet(feeding)
            runs = place.watch.runs(app)
            await self._until_in_history(runs)
            self._reckon(runs)
        finally:
            feeding.cancel()
            for task in list(self._tasks):
                task.cancel()
            place.watch.drop(app)
        return self._counts

    async def archive(self) -> None:
        """Take the functions away: nothing of the round is left that an event could start."""
        await self._register_functions([])

    # ---- the world outside

    async def _register(self) -> None:
        await self._register_functions([self._function(program.number) for program in self.code.programs])

    async def _register_functions(self, functions: list[dict[str, object]]) -> None:
        url = f"{self._place.app_url}/{self.code.app}"
        await self._place.errands.register(registration(self.code.app, url, functions))

    async def _feed(self) -> None:
        """Send the events, some of them twice, some over HTTP and some by Kafka."""
        sent: list[asyncio.Task[None]] = []
        for k in range(1, self._plan.runs + 1):
            by_kafka = self._rng.random() < 0.5
            sent.append(self._background(partial(self._trigger, k, by_kafka)))
            if self._rng.random() < AGAIN:
                self._counts.troubles["events sent again"] += 1
                self._background(partial(self._trigger, k, not by_kafka), self._rng.random())
            if self._plan.poison and self._rng.random() < POISON:
                self._counts.troubles["poison"] += 1
                poison = self._rng.randbytes(self._rng.randint(1, 200))
                self._background(partial(self._place.errands.poison, poison))
            await asyncio.sleep(1 / self._plan.rate)
        await asyncio.gather(*sent)

    async def _trigger(self, k: int, by_kafka: bool) -> None:
        name = self.code.trigger(k % len(self.code.programs))
        await self._place.errands.event(name, {"k": k}, f"{self.code.app}-{k}", by_kafka=by_kafka)

    def _answer_waits(self, call: Call) -> None:
        """What a run begins to wait for comes: before the wait is registered, or some time later."""
        for step in self.code.due(call):
            wanted = step.kind in ("wait", "signal") and step.answered and not step.foretold
            if not wanted or (call.k, step.id) in self._promised:
                continue
            self._promised.add((call.k, step.id))
            delay = random.Random(f"{self.seed}/{call.k}/{step.id}").choice((0.0, 0.0, 0.05, 0.5, 2.0))
            errand = self._event_for if step.kind == "wait" else self._signal_for
            self._background(partial(errand, step, call.k), delay)

    async def _event_for(self, step: Step, k: int) -> None:
        name = self.code.answering(step.id)
        await self._place.errands.event(name, {"k": -k, "go": True})
        if "go" in step.condition:
            await self._place.errands.event(name, {"k": k, "go": False})
        await self._place.errands.event(name, {"k": k, "go": True}, by_kafka=k % 2 == 0)

    async def _signal_for(self, step: Step, k: int) -> None:
        def needless() -> bool:
            return (k, step.id) in self._known

        await self._place.errands.signal(self.code.signal(step.id, k), needless)

    def _cancel_some(self, call: Call, run_id: str) -> None:
        dice = random.Random(f"{self.seed}/{call.k}/cancel")
        if dice.random() >= CANCELLED or call.k in self._tainted:
            return
        self._counts.troubles["cancelled"] += 1
        self._tainted.update(ancestors(call.k, self._plan.runs))
        errand: Errand = partial(self._place.errands.cancel, run_id)
        if self.code.programs[call.number].cancellable:
            errand = partial(self._place.errands.event, self.code.stop, {"k": call.k})
        self._background(errand, dice.uniform(0, 2))

    # ---- the app

    async def _answer(self, call: Call, run_id: str) -> Answer | None:
        self._counts.calls += 1
        self._called_at = time.monotonic()
        self._look_at(call)
        self._cancel_some(call, run_id)
        trouble = self._mischief.of(call)
        if trouble is not None:
            self._counts.troubles[trouble.value] += 1
        if trouble is Trouble.TWICE:
            await self._run(call)
        answer = await self._run(call)
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self._mischief.seconds(call))
        if trouble is Trouble.CUT:
            return None
        return self._mischief.garbage(call) if trouble is Trouble.GARBAGE else answer

    async def _run(self, call: Call) -> Answer:
        for step in self.code.due(call):
            if step.answers:
                await self._place.errands.event(self.code.answering(step.answers), {"k": call.k, "go": True})
        self._answer_waits(call)
        return self.code.answer(call)

    def _look_at(self, call: Call) -> None:
        """A step's memory is its result and nothing else, in every call."""
        must = self._must[call.number]
        for step_id, memo in call.memory.items():
            self._known.add((call.k, step_id))
            if step_id not in must or not agrees(orjson.loads(memo), must[step_id]):
                self._wrong[call.k] = f"a call for k={call.k} was sent {memo[:200]} as the result of {step_id}"

    # ---- the reckoning

    async def _until_quiet(self, feeding: asyncio.Task[None]) -> None:
        last = time.monotonic() + self._plan.runs / self._plan.rate + 10 * self._plan.patience
        while not (feeding.done() and self._all_ended()):
            self._fail_early(feeding)
            now = time.monotonic()
            quiet = now - max(self._place.watch.changed_at(self.code.app), self._called_at)
            if now > last or (feeding.done() and quiet > self._plan.patience):
                raise Stuck(f"{self._title()}: nothing for {quiet:.0f} s\n{await self._description()}")
            await asyncio.sleep(LOOK_SECONDS)

    def _all_ended(self) -> bool:
        runs = self._place.watch.runs(self.code.app)
        started = {run.k for run in runs}
        return all(run.end is not None for run in runs) and started.issuperset(range(1, self._plan.runs + 1))

    async def _description(self) -> str:
        runs = self._place.watch.runs(self.code.app)
        started = {run.k for run in runs}
        missing = [k for k in range(1, self._plan.runs + 1) if k not in started]
        waiting = [run for run in runs if run.end is None]
        return await asyncio.to_thread(description, missing, waiting, self._place.watch, self._place.describe)

    async def _until_in_history(self, runs: list[SeenRun]) -> None:
        """History shows every run as it ended."""
        last = time.monotonic() + self._plan.patience
        for run in runs:
            while run.end is not None and (status := await self._place.errands.status(run.id)) != run.end.status:
                if time.monotonic() > last:
                    raise Stuck(
                        f"{self._title()}: history shows {run.id} as {status!r}, it is {run.end.status}\n"
                        f"{await asyncio.to_thread(self._place.describe)}"
                    )
                await asyncio.sleep(LOOK_SECONDS)

    def _reckon(self, runs: list[SeenRun]) -> None:
        problems = judge_roots(runs, range(1, self._plan.runs + 1))
        problems += [text for k, text in self._wrong.items() if k not in self._tainted]
        for run in runs:
            problems += judge(run, self.code.programs, run.k in self._tainted)
            self._counts.runs += 1
            self._counts.steps += len(run.steps)
            self._counts.statuses[run.end.status if run.end else "alive"] += 1
        if problems:
            programs = "\n".join(map(str, self.code.programs))
            raise Violation("\n".join([f"{self._title()}:", *problems[:20], programs]))

    # ---- the small things

    def _function(self, number: int) -> dict[str, object]:
        slug = self.code.slug(number)
        url = f"{self._place.app_url}/{self.code.app}?fnId={slug}&stepId=step"
        step = {"id": "step", "name": "step", "runtime": {"type": "http", "url": url}, "retries": {"attempts": RETRIES}}
        found: dict[str, object] = {
            "id": slug,
            "name": slug,
            "triggers": [{"event": self.code.trigger(number)}],
            "steps": {"step": step},
        }
        if self.code.programs[number].cancellable:
            found["cancel"] = [{"event": self.code.stop, "if": "async.data.k == event.data.k"}]
        return found

    def _title(self) -> str:
        return f"seed {self.seed} (app {self.code.app})"

    def _background(self, errand: Errand, seconds: float = 0.0) -> asyncio.Task[None]:
        """Run it some seconds from now."""
        task = asyncio.create_task(_later(errand, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    def _fail_early(self, feeding: asyncio.Task[None]) -> None:
        if feeding.done() and not feeding.cancelled() and (error := feeding.exception()) is not None:
            raise error
        if self._failures:
            raise self._failures[0]


async def _later(errand: Errand, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await errand()
