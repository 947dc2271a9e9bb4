"""The contact import, seen: `python -m examples.contact_import.demo`.

Starts `penstock dev` (with its own Kafka) and the app, uploads a file by an event, shows what the run waits for,
approves it by another event, and prints what was imported. Says by its exit code whether all went well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from penstock.cli.ports import free_port

from ..running import RUN_SECONDS, Json, console, dev_server, example_app, exit_with, runs_of, sync, wait_for
from .address_book import SqliteAddressBook
from .app import REVIEWED, UPLOADED

UPLOAD = "upload-1"
CSV = """\
name, email
Ada Lovelace, ada@example.com
Grace Hopper, grace@example.com
Nobody,
Edsger Dijkstra, edsger@example.com
Ada Lovelace, ADA@example.com
"""
EXPECTED = 3


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder, running(Path(folder)) as http:
        book = SqliteAddressBook(Path(folder) / "contacts.db")
        event = send(http, UPLOADED, {"upload_id": UPLOAD, "csv": CSV})
        (run,) = runs_of(http, event, ended=False)
        waits = wait_for(lambda: waits_of(http, run), RUN_SECONDS, "the run to wait for its review")
        console.print(f"The run {run['run_id']} waits:", waits)
        send(http, REVIEWED, {"upload_id": UPLOAD, "approved": True, "by": "anna"})
        (run,) = runs_of(http, event, ended=True)
        show(http, run)
        return verdict(run, book)


@contextmanager
def running(folder: Path) -> Iterator[httpx.Client]:
    """Penstock and the app, which has registered its function."""
    app_url = f"http://127.0.0.1:{free_port()}"
    database = {"CONTACTS_DB": str(folder / "contacts.db")}
    with dev_server(folder) as dev, example_app("examples.contact_import.app", app_url, dev["url"], database):
        sync(app_url)
        with httpx.Client(base_url=dev["url"]) as http:
            yield http


def send(http: httpx.Client, name: str, data: Json) -> str:
    """Send an event; its id, once it is on Kafka."""
    answer = http.post("/e/demo-key", json={"name": name, "data": data})
    answer.raise_for_status()
    event_id: str = answer.json()["ids"][0]
    console.print(f"Sent {name}: {event_id}")
    return event_id


def waits_of(http: httpx.Client, run: Json) -> Any:
    """What the run waits for, once it does."""
    return http.get(f"/v1/runs/{run['run_id']}").json()["data"].get("waiting_for")


def show(http: httpx.Client, run: Json) -> None:
    table = Table("step", "kind", "took", "result", title=f"{run['function']} {run['status']}", title_justify="left")
    for step in http.get(f"/v1/runs/{run['run_id']}/steps").json()["data"]:
        table.add_row(step["name"], step["op"], f"{step['duration_ms']} ms", str(step["output"])[:60])
    console.print(table)
    console.print("The run's result:", run["output"])


def verdict(run: Json, book: SqliteAddressBook) -> int:
    imported = book.count() if run["status"] == "Completed" else 0
    good = imported == EXPECTED
    console.print(f"{imported} of {EXPECTED} contacts imported.", style="bold green" if good else "bold red")
    return 0 if good else 1


if __name__ == "__main__":
    exit_with(main)
