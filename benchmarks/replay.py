"""What a replay costs live traffic: from a live event's request to the call of its function, with and without one.

python -m benchmarks.replay [--events 50000] [--rates 100,300] [--seconds 20] [--report benchmarks/replay.md]

Phases without and with a replay alternate on one stack, so that what else the machine does weighs on both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn
from confluent_kafka import Producer
from starlette.types import Receive, Scope, Send

from penstock.cli.ports import free_port
from penstock.kafka import clients
from penstock.settings import KafkaSettings
from penstock.web import EmbeddedServer

from . import machine
from .stack import Stack, penstock_dev
from .timings import percentile

LIVE_PER_SECOND = 20
HEADERS = [(b"x-inngest-sdk", b"py:v0.5.0"), (b"x-inngest-req-version", b"2"), (b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Phase:
    """Live latencies (milliseconds) of one phase; `rate` is the replay's, 0 for none."""

    rate: int
    latencies: list[float]
    replayed: int

    def row(self) -> str:
        ordered = sorted(self.latencies)
        marks = " | ".join(f"{percentile(ordered, share):.0f}" for share in (50, 95, 99))
        name = f"replay at {self.rate}/s" if self.rate else "no replay"
        return f"| {name} | {len(ordered)} | {marks} | {self.replayed} |"


class App:
    """Two functions of one call each: `live`, whose calls are timed, and `past`, which is replayed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.live: dict[int, float] = {}
        self.past = 0
        config = uvicorn.Config(self._answer, port=self.port, interface="asgi3", log_level="warning", lifespan="off")
        self._server = EmbeddedServer(config)
        threading.Thread(target=self._server.run, daemon=True).start()

    def register(self, server: str) -> None:
        url = f"http://127.0.0.1:{self.port}/api/inngest"
        functions = [_function(url, "live", "live/order"), _function(url, "past", "past/order")]
        body = {
            "url": url,
            "deployType": "ping",
            "framework": "bench",
            "appName": "replay",
            "sdk": "py:v0.5.0",
            "v": "0.1",
        }
        httpx.post(f"{server}/fn/register", json=body | {"functions": functions}, timeout=60).raise_for_status()

    def stop(self) -> None:
        self._server.should_exit = True

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        came, body, more = time.perf_counter(), b"", True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        self._called(orjson.loads(body).get("event"), came)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"null"})

    def _called(self, event: dict[str, Any] | None, came: float) -> None:
        """Requests without an event are the dev server's, asking whether the app has changed."""
        if event is not None and event["name"] == "live/order":
            self.live.setdefault(event["data"]["n"], came)
        elif event is not None:
            self.past += 1


def _function(url: str, name: str, event: str) -> dict[str, object]:
    runtime = {"type": "http", "url": f"{url}?fnId=replay-{name}&stepId=step"}
    step = {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": 4}}
    return {"id": f"replay-{name}", "name": name, "triggers": [{"event": event}], "steps": {"step": step}}


def measure(stack: Stack, app: App, rates: list[int], seconds: float, first: Callable[[], int]) -> Iterator[Phase]:
    for rate in [each for one in rates for each in (0, one)] + [0]:
        with replaying(stack.url, rate):
            before = app.past
            latencies = asyncio.run(live(stack.url, app, seconds, first()))
            yield Phase(rate, latencies, app.past - before)
        settle(app)


@contextmanager
def replaying(server: str, rate: int) -> Iterator[None]:
    """A replay of all past events, under way meanwhile and cancelled in the end."""
    if not rate:
        yield
        return
    body = {"function": "replay/replay-past", "rate": rate, "force": True}
    asked = httpx.post(f"{server}/v1/replays", json=body, timeout=60)
    asked.raise_for_status()
    replay = asked.json()["data"]["id"]
    _until(lambda: httpx.get(f"{server}/v1/replays/{replay}").json()["data"]["started"] > 0)
    yield
    httpx.post(f"{server}/v1/replays/{replay}/cancel", timeout=60)


async def live(server: str, app: App, seconds: float, first: int) -> list[float]:
    """Events at a steady rate, whatever the answers take; milliseconds from request to call."""
    sent: dict[int, float] = {}
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client, asyncio.TaskGroup() as tasks:
        began = time.perf_counter()
        for place in range(int(seconds * LIVE_PER_SECOND)):
            await asyncio.sleep(max(began + place / LIVE_PER_SECOND - time.perf_counter(), 0))
            n = first + place
            sent[n] = time.perf_counter()
            tasks.create_task(client.post(f"{server}/e/bench", json={"name": "live/order", "data": {"n": n}}))
    await asyncio.to_thread(_until, lambda: sent.keys() <= app.live.keys())
    return [(app.live[n] - at) * 1000 for n, at in sent.items()]


def settle(app: App) -> None:
    """Wait until the replayed runs that were begun have been called."""
    before = -1
    while before != app.past:
        before = app.past
        time.sleep(2)


def produce(servers: str, count: int) -> None:
    kafka = KafkaSettings(kafka_bootstrap_servers=servers)
    producer = Producer(clients.producer(kafka, "bench") | {"linger.ms": 20})
    for n in range(count):
        producer.produce(kafka.topics().events, value=b'{"name": "past/order", "data": {"n": %d}}' % n)
        producer.poll(0)
    producer.flush(120)


def _until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rates", default="100,300")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    lines = [
        "# What a replay costs live traffic",
        "",
        f"{LIVE_PER_SECOND} live events a second, {options.events} events to replay, phases of {options.seconds:g} s,",
        "in this order on one stack. Milliseconds from the request that sends a live event to the function's call.",
        "",
        "| phase | live events | p50 | p95 | p99 | runs replayed meanwhile |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder, penstock_dev(Path(folder), Path(folder) / "log") as stack:
        app, numbers = App(), iter(range(0, 1 << 40, 1_000_000))
        servers = orjson.loads((Path(folder) / "ready.json").read_bytes())["bootstrap_servers"]
        produce(servers, options.events)
        # Only events that lie there already are to be replayed: the app comes when they have been matched.
        time.sleep(10)
        app.register(stack.url)
        asyncio.run(live(stack.url, app, 5, next(numbers)))
        for phase in measure(
            stack, app, [int(r) for r in options.rates.split(",")], options.seconds, lambda: next(numbers)
        ):
            lines.append(phase.row())
            print(lines[-1], flush=True)
        app.stop()
    lines += ["", *(f"{name}: {value}  " for name, value in machine.describe("penstock dev").items()), ""]
    if options.report:
        options.report.write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
