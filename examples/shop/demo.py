"""Penstock's main job, seen: `python -m examples.shop.demo`.

Starts `penstock dev` (with its own Kafka) and the shop, syncs the shop's functions, sends events by HTTP and by a
plain Kafka producer, waits for the runs and prints them step by step. Ends everything and says by its exit code
whether all went well.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path

import httpx
from confluent_kafka import Producer
from rich.table import Table

from penstock.cli.ports import free_port

from ..running import RUN_SECONDS, Json, console, dev_server, example_app, exit_with, runs_of, sync, wait_for

ORDERS = 3
VISITS = 3
#: Characters that a row takes beside its result.
OTHER_COLUMNS = 78


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder, dev_server(Path(folder)) as dev:
        app_url = f"http://127.0.0.1:{free_port()}"
        with example_app("examples.shop.app", app_url, dev["url"]), httpx.Client(base_url=dev["url"]) as http:
            console.print(f"The shop's functions are registered: {sync(app_url)}")
            began = time.time()
            order_ids = send_orders_by_http(http)
            visitors = send_visits_by_kafka(dev["bootstrap_servers"])
            runs = [run for event in order_ids for run in runs_of(http, event, ended=True)]
            runs += [run for event in find_events(http, visitors) for run in runs_of(http, event, ended=True)]
            for run in runs:
                show(http, run, began)
    return verdict(runs)


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
        known = [event["internal_id"] for event in answer if event["id"] in ids]
        return known if len(known) == len(ids) else []

    return wait_for(found, RUN_SECONDS, "the visits to be recorded")


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


if __name__ == "__main__":
    exit_with(main)
