"""What a function may be triggered by, what it may send, how it is cancelled; the SDK for Python over FastAPI."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Awaitable, Callable
from typing import Any

import fastapi
import inngest
import inngest.fast_api
import uvicorn

from .journal import Journal
from .settings import APP, listen

client = inngest.Inngest(app_id=APP)
journal = Journal()
functions: list[inngest.Function[Any]] = []
left_out = os.environ.get("CONFORMANCE_LEFT_OUT", "").split(",")

Handler = Callable[[inngest.Context], Awaitable[Any]]


def function(name: str, *triggers: tuple[str, str | None], retries: int = 0) -> Callable[[Handler], None]:
    """Register a function for events (name and expression), unless this app is a version without it."""

    def register(handler: Handler) -> None:
        async def entered(ctx: inngest.Context) -> Any:
            journal.note(ctx.run_id, "enter")
            return await handler(ctx)

        events: list[Any] = [inngest.TriggerEvent(event=event, expression=when) for event, when in triggers]
        made = client.create_function(fn_id=name, trigger=events, retries=retries)(entered)
        if name not in left_out:
            functions.append(made)

    return register


async def step(ctx: inngest.Context, name: str, result: Any) -> Any:
    async def code() -> Any:
        journal.note(ctx.run_id, f"step:{name}:{ctx.attempt}")
        return result

    return await ctx.step.run(name, code)


@function("below", (f"{APP}/orders/*", None))
async def _below(ctx: inngest.Context) -> Any:
    return ["below", ctx.event.name]


@function("dotted", (f"{APP}.audit.*", None))
async def _dotted(ctx: inngest.Context) -> Any:
    return ["dotted", ctx.event.name]


@function("either", (f"{APP}/one", None), (f"{APP}/other", None))
async def _either(ctx: inngest.Context) -> Any:
    return ["either", ctx.event.name]


@function("bought", (f"{APP}/bought", None))
async def _bought(ctx: inngest.Context) -> Any:
    return "bought"


@function("dear", (f"{APP}/bought", "event.data.total > 100 && event.data.country == 'SI'"))
async def _dear(ctx: inngest.Context) -> Any:
    return "dear"


@function("sender", (f"{APP}/send", None))
async def _sender(ctx: inngest.Context) -> Any:
    events = [inngest.Event(name=f"{APP}/received", data={"number": number}) for number in range(2)]
    return await ctx.step.send_event("send", events)


@function("receiver", (f"{APP}/received", None))
async def _receiver(ctx: inngest.Context) -> Any:
    return ctx.event.data


@function("counted", (f"{APP}/counted", None))
async def _counted(ctx: inngest.Context) -> Any:
    journal.note(f"counted-{ctx.event.data['what']}", "enter")
    return await step(ctx, "only", ctx.event.data["what"])


@function("asleep", (f"{APP}/asleep", None))
async def _asleep(ctx: inngest.Context) -> Any:
    await step(ctx, "before", 1)
    await ctx.step.sleep("hour", datetime.timedelta(hours=1))
    return await step(ctx, "after", 2)


@function("held", (f"{APP}/held", None))
async def _held(ctx: inngest.Context) -> Any:
    async def held() -> None:
        journal.note(ctx.run_id, "holding")
        await asyncio.to_thread(journal.hold, ctx.run_id, "release", 1)
        journal.note(ctx.run_id, "released")

    await ctx.step.run("held", held)
    return await step(ctx, "after", 2)


@function("moved", (f"{APP}/moved", None), retries=20)
async def _moved(ctx: inngest.Context) -> Any:
    await step(ctx, "before", 1)
    await ctx.step.sleep("while", datetime.timedelta(seconds=2))
    return await step(ctx, "after", "moved")


@function("patient", (f"{APP}/patient", None), retries=20)
async def _patient(ctx: inngest.Context) -> Any:
    return await step(ctx, "only", "answered")


@function("large-output", (f"{APP}/large-output", None), retries=3)
async def _large_output(ctx: inngest.Context) -> Any:
    return len(await step(ctx, "large", "x" * (4 * 1024 * 1024 + 1)))


async def _ticking(ctx: inngest.Context) -> Any:
    journal.note("ticks", ctx.run_id)
    return {"name": ctx.event.name, "id": ctx.event.id, "data": ctx.event.data}


# Only where it is asked for: it would run each minute for as long as any test goes on.
if cron := os.environ.get("CONFORMANCE_CRON"):
    functions.append(
        client.create_function(fn_id="ticking", trigger=inngest.TriggerCron(cron=cron), retries=0)(_ticking)
    )

app = fastapi.FastAPI()
inngest.fast_api.serve(app, client, functions)


@app.get("/journal/{run}")
async def _journal(run: str) -> list[dict[str, object]]:
    return journal.of(run)


@app.post("/journal/{run}/{what}")
async def _note(run: str, what: str) -> None:
    journal.note(run, what)


if __name__ == "__main__":
    listener = listen()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
