"""Penstock's main job, seen: `python -m examples.shop.demo`.

Starts `penstock dev` (with its own Kafka) and the shop, syncs the shop's functions, sends events by HTTP and by a
plain Kafka producer, waits for the runs and prints them step by step. Ends everything and says by its exit code
whether all went well.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from penstock.cli.leash import Leashed
from penstock.cli.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 600.0
RUN_SECONDS = 60.0
ORDERS = 3
VISITS = 3
#: Characters that a row takes beside its result.
OTHER_COLUMNS = 78
console = Console(width=None if sys.stdout.isatty() else 110)
Json = dict[str, Any]
T = TypeVar("T")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder:
        app_url = f"http://127.0.0.1:{free_port()}"
        with dev_server(Path(folder)) as dev, shop(app_url, dev["url"]), httpx.Client(base_url=dev["url"]) as http:
            sync(app_url)
            began = time.time()
            order_ids = send_orders_by_http(http)
            visitors = send_visits_by_kafka(dev["bootstrap_servers"])
            runs = [run for event in order_ids for run in wait_for_runs(http, event)]
            runs += [run for event in find_events(http, visitors) for run in wait_for_runs(http, event)]
            for run in runs:
                show(http, run, began)
    return verdict(runs)


@contextlib.contextmanager
def dev_server(folder: Path) -> Iterator[Json]:
    """`penstock dev` on free ports, keeping nothing; gives what its ready file says."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "penstock", "dev", "--ephemeral", "--port", "0", "--kafka-port", "0"]
    command += ["--no-poll", "--retry-interval", "0.5", "--ready-file", str(ready)]
    with ended_with_us(Leashed(command, None, {"PYTHONUNBUFFERED": "1"})) as dev:
        wait_for(lambda: ready.exists() or dev.exit_code() is not None, START_SECONDS, "penstock dev to be ready")
        if dev.exit_code() is not None:
            raise SystemExit(f"penstock dev ended with exit code {dev.exit_code()}")
        yield json.loads(ready.read_text("utf-8"))


@contextlib.contextmanager
def shop(app_url: str, penstock_url: str) -> Iterator[None]:
    """The example app, told where Penstock is."""
    command = [sys.executable, "-m", "examples.shop.app", app_url.rpartition(":")[2]]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"INNGEST_DEV": penstock_url, "PYTHONPATH": path}
    with ended_with_us(Leashed(command, None, environment)):
        wait_for(lambda: answers(f"{app_url}/docs"), START_SECONDS, "the shop to listen")
        yield


@contextlib.contextmanager
def ended_with_us(process: Leashed) -> Iterator[Leashed]:
    try:
        yield process
    finally:
        process.stop(30)


def sync(app_url: str) -> None:
    answer = httpx.put(f"{app_url}/api/inngest", timeout=30)
    answer.raise_for_status()
    console.print(f"The shop's functions are registered: {answer.json()}")


def send_orders_by_http(http: httpx.Client) -> list[str]:
    events = [
        {
            "name": "shop/order.placed",
            "data": {"number": number, "items": ["teapot"], "total": 42.5, "email": "ada@example.com"},
        }
        for number in range(1, ORDERS + 1)
    ]
    answer = http.post("/e/demo-key", json=events)
    answer.raise_for_status()
    ids: list[str] = answer.json()["ids"]
    console.print(f"{len(ids)} orders sent by HTTP; once answered, they are on Kafka: {', '.join(ids)}")
    return ids


def send_visits_by_kafka(bootstrap_servers: str) -> set[str]:
    """Plain JSON from a plain producer: no SDK, no schema, no client of ours."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    ids = {f"visit-{uuid.uuid4().hex[:8]}" for _ in range(VISITS)}
    for event_id in ids:
        event = {"id": event_id, "name": "shop/page.visited", "data": {"page": "/teapots"}}
        producer.produce("penstock.events", value=json.dumps(event).encode())
    if producer.flush(30):
        raise SystemExit("Kafka did not acknowledge the visits")
    console.print(f"{len(ids)} visits written to the topic penstock.events by a Kafka producer\n")
    return ids


def find_events(http: httpx.Client, ids: set[str]) -> list[str]:
    """Internal ids of the events that were written straight to Kafka."""

    def found() -> list[str]:
        answer = http.get("/v1/events", params={"name": "shop/page.visited"}).json()["data"]
        return [event["internal_id"] for event in answer if event["id"] in ids]

    return wait_for(lambda: (f := found()) and len(f) == len(ids) and f, RUN_SECONDS, "the visits to be recorded")


def wait_for_runs(http: httpx.Client, event_id: str) -> list[Json]:
    """The event's runs, all ended."""

    def ended() -> list[Json] | None:
        answer = http.get(f"/v1/events/{event_id}/runs")
        runs: list[Json] = answer.json()["data"] if answer.status_code == 200 else []
        return runs if runs and all(run["ended_at"] for run in runs) else None

    return wait_for(ended, RUN_SECONDS, f"the runs of event {event_id} to end")


def show(http: httpx.Client, run: Json, began: float) -> None:
    steps = http.get(f"/v1/runs/{run['run_id']}/steps").json()["data"]
    colour = "green" if run["status"] == "Completed" else "red"
    title = f"[bold]{run['function']}[/]  {run['run_id']}  [{colour}]{run['status']}[/]"
    table = Table("step", "kind", "started", "took", "attempts", "result", title=title, title_justify="left")
    for column in table.columns:
        column.no_wrap = True
    for step in steps:
        took, attempts = f"{step['duration_ms']} ms", str(step["attempt"] + 1)
        table.add_row(step["name"], step["op"], at(step, began), took, attempts, short(result_of(step)))
    table.add_section()
    whole = since(run["ended_at"], began) - since(run["run_started_at"], began)
    started = f"+{since(run['run_started_at'], began):.3f} s"
    table.add_row("the run", "", started, f"{whole * 1000:.0f} ms", "", short(json.dumps(run["output"])))
    console.print(table)
    console.print()


def short(text: str) -> str:
    """What fits beside the other columns, so that none of them is squeezed away."""
    room = max(console.width - OTHER_COLUMNS, 10)
    return text if len(text) <= room else text[: room - 1] + "…"


def at(step: Json, began: float) -> str:
    return f"+{since(step['started_at'], began):.3f} s"


def result_of(step: Json) -> str:
    output = step["output"]
    return json.dumps(output["data"] if isinstance(output, dict) and "data" in output else output)


def verdict(runs: list[Json]) -> int:
    completed = sum(run["status"] == "Completed" for run in runs)
    good = completed == len(runs) == ORDERS + VISITS
    console.print(f"{completed} of {ORDERS + VISITS} runs completed.", style="bold green" if good else "bold red")
    return 0 if good else 1


def since(timestamp: str, began: float) -> float:
    return datetime.fromisoformat(timestamp).timestamp() - began


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2).status_code == 200
    return False


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The condition's value as soon as it is truthy; ends the demo when that takes too long."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)
    return value


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except (KeyboardInterrupt, subprocess.SubprocessError) as error:
        sys.exit(f"the demo was ended: {error!r}")
