"""The scenarios with async functions of the Python SDK, served by FastAPI."""

from __future__ import annotations

import datetime
from typing import Any

import fastapi
import inngest
import inngest.fast_api
import uvicorn

from . import async_coordination  # noqa: F401  its functions register themselves
from .async_functions import client, fail, functions, journal, scenario, step
from .settings import listen

VALUES: list[Any] = [
    None,
    "",
    0,
    False,
    [],
    {},
    "žluťoučký 💡\u2028",
    1.5,
    2**53 - 1,
    {"data": 1},
    {"error": "no"},
]


@scenario("single")
async def _single(ctx: inngest.Context) -> Any:
    return await step(ctx, "only", lambda: int(str(ctx.event.data["n"])) + 1)


@scenario("no-step")
async def _no_step(ctx: inngest.Context) -> Any:
    return {"name": ctx.event.name, "id": ctx.event.id, "data": ctx.event.data, "events": len(ctx.events)}


@scenario("sequential")
async def _sequential(ctx: inngest.Context) -> Any:
    a = await step(ctx, "a", lambda: int(str(ctx.event.data["n"])) + 1)
    b = await step(ctx, "b", lambda: a * 2)
    c = await step(ctx, "c", lambda: b - 2)
    return {"a": a, "b": b, "c": c}


@scenario("repeated")
async def _repeated(ctx: inngest.Context) -> Any:
    return [await step(ctx, "again", lambda index=index: index) for index in range(3)]


@scenario("values")
async def _values(ctx: inngest.Context) -> Any:
    return [await step(ctx, f"value-{place}", lambda value=value: value) for place, value in enumerate(VALUES)]


@scenario("retried", retries=3)
async def _retried(ctx: inngest.Context) -> Any:
    flaky = await step(ctx, "flaky", lambda: ctx.attempt if ctx.attempt == 2 else fail(ValueError("not yet")))
    after = await step(ctx, "after", lambda: ctx.attempt)
    return {"flaky": flaky, "after": after}


@scenario("caught", retries=1)
async def _caught(ctx: inngest.Context) -> Any:
    try:
        await step(ctx, "broken", lambda: fail(ValueError("it is broken")))
    except inngest.StepError as error:
        return {"caught": error.message, "after": await step(ctx, "after", lambda: "went on")}


@scenario("uncaught", retries=1)
async def _uncaught(ctx: inngest.Context) -> Any:
    await step(ctx, "broken", lambda: fail(ValueError("it is broken")))


@scenario("function-error", retries=1)
async def _function_error(ctx: inngest.Context) -> Any:
    raise ValueError("the function is broken")


@scenario("function-recovers", retries=2)
async def _function_recovers(ctx: inngest.Context) -> Any:
    await step(ctx, "before", lambda: 1)
    if ctx.attempt < 2:
        raise ValueError("not yet")
    return {"attempt": ctx.attempt}


@scenario("non-retriable", retries=3)
async def _non_retriable(ctx: inngest.Context) -> Any:
    raise inngest.NonRetriableError("never again")


@scenario("step-non-retriable", retries=3)
async def _step_non_retriable(ctx: inngest.Context) -> Any:
    await step(ctx, "broken", lambda: fail(inngest.NonRetriableError("never again")))


@scenario("retry-after", retries=1)
async def _retry_after(ctx: inngest.Context) -> Any:
    def limited() -> int:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("too fast", 3000)
        return ctx.attempt

    return await step(ctx, "limited", limited)


@scenario("sleep")
async def _sleep(ctx: inngest.Context) -> Any:
    await step(ctx, "before", lambda: 1)
    await ctx.step.sleep("nap", datetime.timedelta(seconds=1.5))
    return await step(ctx, "after", lambda: "awake")


@scenario("sleep-until")
async def _sleep_until(ctx: inngest.Context) -> Any:
    until = await step(ctx, "before", lambda: (_now() + datetime.timedelta(seconds=1.5)).isoformat())
    await ctx.step.sleep_until("nap", datetime.datetime.fromisoformat(until))
    return await step(ctx, "after", lambda: "awake")


@scenario("parallel")
async def _parallel(ctx: inngest.Context) -> Any:
    first = await ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2)))
    second = await ctx.group.parallel((lambda: step(ctx, "c", lambda: 3), lambda: step(ctx, "d", lambda: 4)))
    return [*first, *second]


@scenario("parallel-then-step")
async def _parallel_then_step(ctx: inngest.Context) -> Any:
    both = await ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2)))
    return [*both, await step(ctx, "after", lambda: 3)]


@scenario("parallel-failure")
async def _parallel_failure(ctx: inngest.Context) -> Any:
    try:
        await ctx.group.parallel(
            (
                lambda: step(ctx, "a", lambda: 1),
                lambda: step(ctx, "b", lambda: fail(ValueError("b is broken"))),
            )
        )
    except inngest.StepError as error:
        return {"caught": error.message}


@scenario("parallel-sleep")
async def _parallel_sleep(ctx: inngest.Context) -> Any:
    nap = datetime.timedelta(seconds=1.5)
    await ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: ctx.step.sleep("nap", nap)))
    return await step(ctx, "after", lambda: "awake")


@scenario("race")
async def _race(ctx: inngest.Context) -> Any:
    mode = inngest.ParallelMode.RACE
    one = (lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2, hold=4))
    two = (lambda: step(ctx, "c", lambda: 3), lambda: step(ctx, "d", lambda: 4, hold=8))
    first = await ctx.group.parallel(one, parallel_mode=mode)
    return [*first, *await ctx.group.parallel(two, parallel_mode=mode)]


@scenario("big-state")
async def _big_state(ctx: inngest.Context) -> Any:
    parts = [await step(ctx, f"part-{i}", lambda i=i: str(i) * 900_000) for i in range(6)]
    return {"length": sum(len(part) for part in parts), "last": parts[-1][:3]}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


app = fastapi.FastAPI()
inngest.fast_api.serve(app, client, functions)


@app.get("/journal/{run}")
async def _journal(run: str) -> list[dict[str, object]]:
    return journal.of(run)


if __name__ == "__main__":
    listener = listen()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
