"""What the modules of the async app share: how a function is registered and how a step notes that its code ran."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import inngest

from .journal import Journal
from .settings import APP

client = inngest.Inngest(app_id=APP)
journal = Journal()
functions: list[inngest.Function[Any]] = []

Handler = Callable[[inngest.Context], Awaitable[Any]]


def scenario(name: str, retries: int = 0, **options: Any) -> Callable[[Handler], inngest.Function[Any]]:
    """Register a function for the event `<app>/<name>` that notes every time it is entered."""
    return function(name, inngest.TriggerEvent(event=f"{APP}/{name}"), retries, **options)


def function(name: str, trigger: Any, retries: int = 0, **options: Any) -> Callable[[Handler], inngest.Function[Any]]:
    """Register a function that notes every time it is entered."""

    def register(handler: Handler) -> inngest.Function[Any]:
        async def entered(ctx: inngest.Context) -> Any:
            journal.note(ctx.run_id, "enter")
            return await handler(ctx)

        made = client.create_function(fn_id=name, trigger=trigger, retries=retries, **options)(entered)
        functions.append(made)
        return made

    return register


async def step(ctx: inngest.Context, name: str, result: Callable[[], Any], hold: int = 0) -> Any:
    """A step that notes that its code ran; with `hold`, only once the function was entered that many times."""

    async def code() -> Any:
        journal.note(ctx.run_id, f"step:{name}:{ctx.attempt}")
        if hold:
            await asyncio.to_thread(journal.hold, ctx.run_id, "enter", hold)
        return result()

    return await ctx.step.run(name, code)


def fail(error: Exception) -> Any:
    raise error
