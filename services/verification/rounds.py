"""One seed on a real installation: its functions are registered, events sent, and every run is held to its program."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import orjson

from .errands import Errands
from .mischief import Mischief, Trouble
from .outside import Outside
from .plan import Counts, Notes, Plan
from .programs import REAL, Step, child_key, outcome, programs
from .reckoning import SeenRun, agrees, reckon
from .served import App, ServedApps, functions_of, registration
from .stuck import Describe, Stuck, description, state_of
from .usercode import Answer, Call, UserCode, twice
from .watch import ChangelogWatch

LOOK_SECONDS = 0.25
#: By how much our clock may differ from an executor's within a sleep.
CLOCK_SECONDS = 0.1


class Violation(AssertionError):
    """What must always hold did not."""


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
        self._seed = seed
        self._plan = plan
        self._place = place
        self._mischief = Mischief(seed)
        self._code = UserCode(f"verify-{seed}-{nonce}", programs(random.Random(seed), plan.functions, REAL))
        self._must = [dict(outcome(program, self._code.programs).results) for program in self._code.programs]
        self._notes = Notes(Counts(events=plan.runs))
        self._outside = Outside(seed, self._code, plan, self._notes, place.errands)
        self._called_at = time.monotonic()

    async def play(self) -> Counts:
        """`Violation` or `Stuck`, with all that is known, when something that must hold does not."""
        watch, app = self._place.watch, self._code.app
        watch.add(app)
        self._place.apps.add(app, App(self._answer, self._register))
        await self._register()
        self._called_at = time.monotonic()
        feeding = asyncio.create_task(self._outside.feed())
        try:
            await self._until_quiet(feeding)
            runs = watch.runs(app)
            await self._until_in_history(runs)
            self._reckon(runs)
        finally:
            feeding.cancel()
            self._outside.end()
            watch.drop(app)
        return self._notes.counts

    async def archive(self) -> None:
        """Take the functions away: nothing of the round is left that an event could start."""
        await self._place.errands.register(registration(self._code.app, self._url(), []))

    # ---- the app

    async def _register(self) -> None:
        functions = functions_of(self._code, self._url())
        await self._place.errands.register(registration(self._code.app, self._url(), functions))

    def _url(self) -> str:
        return f"{self._place.app_url}/{self._code.app}"

    async def _answer(self, call: Call, run_id: str) -> Answer | None:
        counts = self._notes.counts
        counts.calls += 1
        self._called_at = time.monotonic()
        self._look_at(call)
        self._outside.cancel_some(call, run_id)
        trouble = self._mischief.of(call)
        answer = await self._run(call)
        if trouble is Trouble.TWICE:
            doubled = twice(answer)
            answer, trouble = doubled or answer, trouble if doubled else None
        if trouble is not None:
            counts.troubles[trouble.value] += 1
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self._mischief.seconds(call))
        if trouble is Trouble.CUT:
            return None
        return self._mischief.garbage(call) if trouble is Trouble.GARBAGE else answer

    async def _run(self, call: Call) -> Answer:
        for step in self._code.due(call):
            await self._outside.cause(step, call.k)
        self._outside.answer_waits(call)
        return self._code.answer(call)

    def _look_at(self, call: Call) -> None:
        """A step's memory is its result and nothing else, in every call, and not there before its time."""
        now, steps = time.monotonic(), self._code.programs[call.number].steps
        for step in self._code.due(call):
            self._notes.called_at.setdefault((call.k, step.id), now)
        for step_id, memo in call.memory.items():
            remembered = steps.get(step_id)
            if remembered is None or not self._is_right(call, remembered, orjson.loads(memo)):
                self._notes.wrong[call.k] = f"a call for k={call.k} was sent {memo[:200]} as the result of {step_id}"
            elif (call.k, step_id) not in self._notes.known and remembered.lasts:
                began = self._notes.called_at.get((call.k, step_id))
                if began is None or now - began < remembered.seconds - CLOCK_SECONDS:
                    self._notes.wrong[call.k] = f"{step_id} of k={call.k} was over before its {remembered.seconds} s"
            self._notes.known.add((call.k, step_id))

    def _is_right(self, call: Call, step: Step, memo: object) -> bool:
        must = self._must[call.number]
        if step.id in must and agrees(memo, must[step.id]):
            return True
        invoked_cancelled = step.kind == "invoke" and child_key(call.k, step) in self._notes.cancels.tainted
        return step.id in must and invoked_cancelled and agrees(memo, "error")

    # ---- the reckoning

    async def _until_quiet(self, feeding: asyncio.Task[None]) -> None:
        """Return when all events are sent and all runs have ended."""
        last = time.monotonic() + self._plan.runs / self._plan.rate + 10 * self._plan.patience
        while not (feeding.done() and self._all_ended()):
            self._fail_early(feeding)
            now = time.monotonic()
            quiet = now - max(self._place.watch.changed_at(self._code.app), self._called_at)
            if now > last or (feeding.done() and quiet > self._plan.patience):
                raise Stuck(f"{self._title()}: nothing for {quiet:.0f} s\n{await self._description()}")
            await asyncio.sleep(LOOK_SECONDS)

    def _fail_early(self, feeding: asyncio.Task[None]) -> None:
        if self._outside.failure is not None:
            raise self._outside.failure
        if feeding.done():
            feeding.result()

    def _all_ended(self) -> bool:
        runs = self._place.watch.runs(self._code.app)
        return all(run.end is not None for run in runs) and not self._missing(runs)

    def _missing(self, runs: list[SeenRun]) -> list[int]:
        started = {run.k for run in runs}
        return [k for k in self._roots() if k not in started]

    def _roots(self) -> range:
        return range(1, self._plan.runs + 1)

    async def _description(self) -> str:
        runs = self._place.watch.runs(self._code.app)
        waiting = [run for run in runs if run.end is None]
        return await asyncio.to_thread(
            description,
            self._missing(runs),
            waiting,
            self._code.programs,
            self._place.watch,
            self._place.describe,
        )

    async def _until_in_history(self, runs: list[SeenRun]) -> None:
        """History shows every run as it ended."""
        last = time.monotonic() + self._plan.patience
        for run in runs:
            while run.end is not None and (status := await self._place.errands.status(run.id)) != run.end.status:
                if time.monotonic() > last:
                    state = await asyncio.to_thread(state_of, self._place.describe)
                    shown = f"history shows {run.id} as {status!r}, it is {run.end.status}"
                    raise Stuck(f"{self._title()}: {shown}\n{state}")
                await asyncio.sleep(LOOK_SECONDS)

    def _reckon(self, runs: list[SeenRun]) -> None:
        notes = self._notes
        found = [*notes.wrong.values(), *reckon(runs, self._roots(), self._code.programs, notes.cancels)]
        for run in runs:
            notes.counts.runs += 1
            notes.counts.steps += len(run.steps)
            notes.counts.statuses[run.end.status if run.end else "alive"] += 1
        if found:
            raise Violation("\n".join([f"{self._title()}:", *found[:20], *map(str, self._code.programs)]))

    def _title(self) -> str:
        return f"seed {self._seed} (app {self._code.app})"
