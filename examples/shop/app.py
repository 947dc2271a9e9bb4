"""The shop: an ordinary web app whose functions are written with the official Python SDK.

`INNGEST_DEV=http://127.0.0.1:8288 python -m examples.shop.app 8000`, with `penstock dev` running.
"""

from __future__ import annotations

import datetime
import sys

import fastapi
import inngest
import inngest.fast_api
import uvicorn

client = inngest.Inngest(app_id="shop")
Order = dict[str, object]


class CardNetworkBusyError(Exception):
    """Passes by itself: worth another attempt."""


async def reserve_stock(order: Order) -> Order:
    return {"reserved": order["items"], "warehouse": "Brno"}


async def charge_card(order: Order, attempt: int) -> Order:
    if attempt == 0:
        raise CardNetworkBusyError("the card network is busy")
    return {"charged": order["total"], "attempts": attempt + 1}


async def print_label(order: Order) -> Order:
    return {"label": f"L-{order['number']}"}


async def send_confirmation(order: Order) -> Order:
    return {"mailed": order["email"]}


@client.create_function(fn_id="fulfil-order", trigger=inngest.TriggerEvent(event="shop/order.placed"), retries=3)
async def fulfil_order(ctx: inngest.Context) -> Order:
    """Stock, then card and label at the same time, a moment of patience, then the mail."""
    order: Order = dict(ctx.event.data)
    stock = await ctx.step.run("reserve stock", lambda: reserve_stock(order))
    charge, label = await ctx.group.parallel(
        (
            lambda: ctx.step.run("charge card", lambda: charge_card(order, ctx.attempt)),
            lambda: ctx.step.run("print label", lambda: print_label(order)),
        )
    )
    await ctx.step.sleep("wait for the courier", datetime.timedelta(seconds=1))
    mail = await ctx.step.run("send confirmation", lambda: send_confirmation(order))
    return {**stock, **charge, **label, **mail}


async def score(visit: Order) -> Order:
    return {"page": visit["page"], "score": len(str(visit["page"]))}


async def remember(scored: Order) -> Order:
    return {**scored, "remembered": True}


@client.create_function(
    fn_id="score-visit",
    trigger=inngest.TriggerEvent(event="shop/page.visited", expression="event.data.page != '/health'"),
)
async def score_visit(ctx: inngest.Context) -> Order:
    """Started by events that another program writes straight to Kafka."""
    scored = await ctx.step.run("score", lambda: score(dict(ctx.event.data)))
    return await ctx.step.run("remember", lambda: remember(scored))


app = fastapi.FastAPI()
inngest.fast_api.serve(app, client, [fulfil_order, score_visit])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
