"""`penstock events`: send them, and look at what came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AsJson, Key, Limit, Since, Until, Url, connect

if TYPE_CHECKING:
    from ..server import Server

app = typer.Typer(help="Send events, and look at what came.", no_args_is_help=True)

BATCH = 100
FOLLOW_SECONDS = 1.0
MAX_NEW = 1000


@app.command()
def send(
    name: Annotated[str, typer.Argument(help="The event's name; left out with --file.")] = "",
    data: Annotated[
        str, typer.Option("--data", "-d", help="Its data as JSON; @file reads a file, - standard input.")
    ] = "{}",
    event_id: Annotated[
        str, typer.Option("--id", help="Its id: a second one with it within a day starts nothing.")
    ] = "",
    user: Annotated[str, typer.Option("--user", help="The user it concerns, as JSON.")] = "",
    file: Annotated[str, typer.Option("--file", "-f", help="Send many: a file with one JSON event a line, or -.")] = "",
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Send one event, or a file of them. When it returns, they are on Kafka.

    penstock events send shop/order.placed -d '{"order": 42}'

    penstock events send --file events.jsonl
    """
    from ..event_input import many, one
    from ..output import print_json

    wanted = many(file) if file else iter([one(name, data, event_id, user)])
    ids: list[str] = []
    with connect(url, key) as server:
        for sent in _batches(server, wanted, quiet=not file):
            ids += sent
            if file and not as_json:
                ids.clear()
    if as_json:
        print_json({"ids": ids})
    else:
        for each in ids:
            print(each)


@app.command("list")
def list_events(
    name: Annotated[str, typer.Option(help="Only events of this name.")] = "",
    user: Annotated[str, typer.Option(help="Only events of this user (id, external_id or email).")] = "",
    text: Annotated[str, typer.Option(help="Only events that contain this text.")] = "",
    cel: Annotated[str, typer.Option("--if", help="Only events for which this CEL expression holds.")] = "",
    internal: Annotated[bool, typer.Option("--internal", help="Also events that the system made.")] = False,
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List events, the newest first.

    penstock events list --name shop/order.placed --from 1h --if 'event.data.total > 100'
    """
    from ..clock import now
    from ..moments import moment
    from ..output import local_time, print_json, print_table

    query = {
        "name": name,
        "user": user,
        "text": text,
        "cel": cel,
        "internal": "true" if internal else "false",
        "received_after": moment(since, now(), "--from"),
        "received_before": moment(until, now(), "--to"),
    }
    with connect(url, key) as server:
        rows = list(server.rows("/v1/events", query, limit))
    if as_json:
        print_json(rows)
        return
    shown = [(r["internal_id"], r["name"], local_time(r["received_at"]), r["data"]) for r in rows]
    print_table(("id", "name", "received", "data"), shown, "no event matches")


@app.command()
def show(
    event: Annotated[str, typer.Argument(help="Its id, as `send` and `list` print it, or the sender's.")],
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show an event and the runs that it started."""
    from ..output import local_time, print_details, print_json, print_table

    with connect(url, key) as server:
        found = server.get(f"/v1/events/{event}")
        runs = server.whole(f"/v1/events/{event}/runs")
    if as_json:
        print_json({**found, "runs": runs})
        return
    names = ("internal_id", "id", "name", "received_at", "source", "user", "data")
    print_details((name, local_time(found[name]) if name == "received_at" else found.get(name)) for name in names)
    shown = [
        (r["run_id"], r.get("function") or r["function_id"], r["status"], local_time(r["run_started_at"])) for r in runs
    ]
    print_table(("run", "function", "status", "started"), shown, "it started no run")


@app.command()
def tail(
    name: Annotated[str, typer.Option(help="Only events of this name.")] = "",
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Print events as they come, until Ctrl-C."""
    from ..newcomers import Newcomers
    from ..output import cell, local_time, print_json_line

    with connect(url, key) as server:
        newcomers = Newcomers("internal_id")
        query = {"name": name, "internal": "false"}
        newcomers.begin(server.rows("/v1/events", query, 20))
        while True:
            for row in newcomers.since(server.rows("/v1/events", query, MAX_NEW)):
                if as_json:
                    print_json_line(row)
                else:
                    print(
                        local_time(row["received_at"]),
                        row["internal_id"],
                        cell(row["name"]),
                        cell(row["data"]),
                        flush=True,
                    )
            time.sleep(FOLLOW_SECONDS)


def _batches(server: Server, events: Iterator[dict[str, object]], quiet: bool) -> Iterator[list[str]]:
    from itertools import islice

    from ..progress import progress

    done = 0
    with progress("sending events", quiet) as bar:
        while batch := list(islice(events, BATCH)):
            yield server.send_events(batch)
            done += len(batch)
            bar.at(done, done)
