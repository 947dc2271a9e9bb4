"""The world outside of a round: it starts runs, gives them what they wait for, and cancels some."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from .errands import Errands
from .plan import Notes, Plan
from .programs import Step
from .usercode import Call, UserCode

#: What part of the events is sent twice, is followed by poison; what part of the runs is cancelled.
AGAIN = 0.1
POISON = 0.02
CANCELLED = 0.05
#: Before the wait is registered, at the same time, afterwards.
ANSWERED_AFTER = (0.0, 0.0, 0.05, 0.5, 2.0)

Errand = Callable[[], Awaitable[None]]


class Outside:
    """Does everything in the background; the first errand that fails is kept as `failure`."""

    def __init__(self, seed: int, code: UserCode, plan: Plan, notes: Notes, errands: Errands) -> None:
        self.failure: BaseException | None = None
        self._seed = seed
        self._code = code
        self._plan = plan
        self._notes = notes
        self._errands = errands
        self._promised: set[tuple[int, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def feed(self) -> None:
        """Send the events that start runs: some twice, some over HTTP and some by Kafka. Return when they are there."""
        dice, sent = random.Random(f"{self._seed}/feed"), list[asyncio.Task[None]]()
        for k in range(1, self._plan.runs + 1):
            by_kafka = dice.random() < 0.5
            sent.append(self._background(partial(self._trigger, k, by_kafka)))
            if dice.random() < AGAIN:
                self._notes.counts.troubles["events sent again"] += 1
                self._background(partial(self._trigger, k, not by_kafka), dice.random())
            if self._plan.poison and dice.random() < POISON:
                self._notes.counts.troubles["poison"] += 1
                self._background(partial(self._errands.poison, dice.randbytes(dice.randint(1, 200))))
            await asyncio.sleep(1 / self._plan.rate)
        await asyncio.gather(*sent)

    async def cause(self, step: Step, k: int) -> None:
        """Send the event that the step causes for a later wait, before the step has a result."""
        if step.answers:
            await self._errands.event(self._code.answering(step.answers), {"k": k, "go": True})

    def answer_waits(self, call: Call) -> None:
        """What a run begins to wait for will come, once."""
        for step in self._code.due(call):
            wanted = step.stopped or (step.kind in ("wait", "signal") and step.answered and not step.foretold)
            if not wanted or (call.k, step.id) in self._promised:
                continue
            self._promised.add((call.k, step.id))
            delay = random.Random(f"{self._seed}/{call.k}/{step.id}").choice(ANSWERED_AFTER)
            errand = self._send_event if step.kind == "wait" else self._send_signal
            self._background(partial(errand, step, call.k), delay)

    def cancel_some(self, call: Call, run_id: str) -> None:
        """Cancel the run, if the seed says so: by an event when its function is cancelled by any, or by its id."""
        dice = random.Random(f"{self._seed}/{call.k}/cancel")
        if dice.random() >= CANCELLED or call.k in self._notes.cancels.tainted:
            return
        self._notes.counts.troubles["cancelled"] += 1
        self._notes.cancels.ask(call.k)
        errand: Errand = partial(self._cancel, call.k, run_id)
        if self._code.programs[call.number].cancellable:
            errand = partial(self._errands.event, self._code.stop, {"k": call.k})
        self._background(errand, dice.uniform(0, 2))

    def end(self) -> None:
        """Leave undone what is not done yet."""
        for task in list(self._tasks):
            task.cancel()

    async def _trigger(self, k: int, by_kafka: bool) -> None:
        name = self._code.trigger(k % len(self._code.programs))
        await self._errands.event(name, {"k": k}, f"{self._code.app}-{k}", by_kafka=by_kafka)

    async def _cancel(self, k: int, run_id: str) -> None:
        if await self._errands.cancel(run_id):
            self._notes.counts.troubles["cancelled, as was said"] += 1
            self._notes.cancels.accepted.add(k)

    async def _send_event(self, step: Step, k: int) -> None:
        """First some that only look like it; for a wait that nothing else ends, what cancels the run."""
        if step.stopped:
            await self._errands.event(self._code.stop, {"k": -k})
            await self._errands.event(self._code.stop, {"k": k}, by_kafka=k % 2 == 0)
            return
        name = self._code.answering(step.id)
        await self._errands.event(name, {"k": -k, "go": True})
        if "go" in step.condition:
            await self._errands.event(name, {"k": k, "go": False})
        await self._errands.event(name, {"k": k, "go": True}, by_kafka=k % 2 == 0)

    async def _send_signal(self, step: Step, k: int) -> None:
        def needless() -> bool:
            return (k, step.id) in self._notes.known

        await self._errands.signal(self._code.signal(step.id, k), needless)

    def _background(self, errand: Errand, seconds: float = 0.0) -> asyncio.Task[None]:
        """Run it some seconds from now."""
        task = asyncio.create_task(_later(errand, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and self.failure is None:
            self.failure = task.exception()


async def _later(errand: Errand, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await errand()
