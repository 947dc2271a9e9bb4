"""The app behind the browser tests: functions that work, fail once, fail for good, sleep, and wait for an event."""

from __future__ import annotations

import datetime
import os
import socket
import uuid

import fastapi
import inngest
import inngest.fast_api
import uvicorn

client = inngest.Inngest(app_id="shop")


class CardNetworkBusyError(Exception):
    """Passes by itself."""


async def number(ctx: inngest.Context) -> object:
    return ctx.event.data.get("number")


async def charge(ctx: inngest.Context) -> dict[str, object]:
    if ctx.attempt == 0:
        raise CardNetworkBusyError("the card network is busy")
    return {"charged": ctx.event.data.get("total", 0)}


async def look_up() -> str:
    """Another answer each time, so that a remembered one is known."""
    return uuid.uuid4().hex


async def refuse() -> None:
    raise inngest.NonRetriableError("no such customer <b>here</b>")


@client.create_function(
    fn_id="fulfil-order",
    name="Fulfil order",
    trigger=inngest.TriggerEvent(
        event="shop/order.placed", expression="event.data.total > 10 && event.data.number > 0"
    ),
)
async def fulfil_order(ctx: inngest.Context) -> dict[str, object]:
    reserved = await ctx.step.run("reserve stock", lambda: number(ctx))
    charged = await ctx.step.run("charge card", lambda: charge(ctx))
    await ctx.step.sleep("wait for the courier", datetime.timedelta(seconds=1))
    label = await ctx.step.run("print label", lambda: number(ctx))
    return {"reserved": reserved, "label": f"L-{label}", **charged}


@client.create_function(fn_id="refuse", trigger=inngest.TriggerEvent(event="shop/refused"), retries=0)
async def refused(ctx: inngest.Context) -> None:
    await ctx.step.run("look up", look_up)
    await ctx.step.run("weigh", lambda: number(ctx))
    await ctx.step.run("refuse", refuse)


@client.create_function(fn_id="patient", trigger=inngest.TriggerEvent(event="shop/asked"))
async def patient(ctx: inngest.Context) -> str:
    await ctx.step.run("ask", lambda: number(ctx))
    await ctx.step.sleep("think it over", datetime.timedelta(hours=6))
    return "answered"


@client.create_function(fn_id="wildcard", trigger=inngest.TriggerEvent(event="other/*"))
async def wildcard(ctx: inngest.Context) -> object:
    return ctx.event.data


def main() -> None:
    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, [fulfil_order, refused, patient, wildcard])
    listening = socket.create_server(("127.0.0.1", int(os.environ.get("CONFORMANCE_PORT", "0"))))
    print(f"listening on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])


if __name__ == "__main__":
    main()
