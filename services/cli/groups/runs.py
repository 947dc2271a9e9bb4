"""`penstock runs`: look at them, follow them, cancel and repeat them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AsJson, Key, Limit, Since, Until, Url, connect

if TYPE_CHECKING:
    from ..server import Json, Server

app = typer.Typer(help="Look at runs, follow, cancel and repeat them.", no_args_is_help=True)

FOLLOW_SECONDS = 1.0
FINAL = ("Completed", "Failed", "Cancelled", "Skipped", "Unknown")

Status = Annotated[str, typer.Option(help="Running, Completed, Failed, Cancelled or Skipped.")]
OfFunction = Annotated[str, typer.Option("--function", "-F", help="Only runs of this function (app/slug).")]


@app.command("list")
def list_runs(
    status: Status = "",
    function: OfFunction = "",
    app_name: Annotated[str, typer.Option("--app", help="Only runs of this app.")] = "",
    user: Annotated[str, typer.Option(help="Only runs that concern this user.")] = "",
    text: Annotated[str, typer.Option(help="Only runs whose events or output contain this text.")] = "",
    cel: Annotated[str, typer.Option("--if", help="CEL over `event` and `output`.")] = "",
    replay: Annotated[str, typer.Option(help="Only runs that this replay started.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first.

    penstock runs list --status Failed --function shop/fulfil-order --from 1d
    """
    from ..output import local_time, print_json, print_table

    query = _query(status, function, app_name, user, text, cel, since, until) | {"replay": replay}
    with connect(url, key) as server:
        rows = list(server.rows("/v1/runs", query, limit))
    if as_json:
        print_json(rows)
        return
    shown = [
        (r["run_id"], _function(r), r["status"], local_time(r["run_started_at"]), local_time(r["ended_at"]))
        for r in rows
    ]
    print_table(("id", "function", "status", "started", "ended"), shown, "no run matches")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="Its id.")], url: Url = "", key: Key = "", as_json: AsJson = False
) -> None:
    """Show a run: its state, its steps, and what it waits for."""
    from ..output import local_time, print_details, print_json, print_table

    with connect(url, key) as server:
        found = server.get(f"/v1/runs/{run}")
        steps = server.whole(f"/v1/runs/{run}/steps")
        jobs = server.whole(f"/v1/runs/{run}/jobs")
    if as_json:
        print_json({**found, "steps": steps, "jobs": jobs})
        return
    times = ("run_started_at", "ended_at")
    names = ("run_id", "function", "status", "event_id", *times, "replay", "rerun_of", "output")
    print_details((name, local_time(found.get(name)) if name in times else found.get(name)) for name in names)
    if steps:
        shown = [(s["name"], s["op"], s["status"], f"{s['duration_ms']} ms", s["output"]) for s in steps]
        print_table(("step", "op", "status", "took", "output"), shown, "")
    if jobs:
        waits = [
            (j["name"] or j["step_id"], j["kind"], local_time(j["at"]), j["attempt"], j["last_error"]) for j in jobs
        ]
        print_table(("pending", "kind", "at", "attempt", "last error"), waits, "")


@app.command()
def tail(
    run: Annotated[str, typer.Argument(help="Follow this run to its end; without it, all runs until Ctrl-C.")] = "",
    function: OfFunction = "",
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Print what happens: the steps of one run, or runs as they begin and end.

    Following one run, the exit code is 5 when it did not complete.
    """
    with connect(url, key) as server:
        if run:
            _follow(server, run, as_json)
        else:
            _watch(server, {"function": function}, as_json)


@app.command()
def cancel(runs: Annotated[list[str], typer.Argument(help="Ids of the runs.")], url: Url = "", key: Key = "") -> None:
    """Cancel runs. One that has ended stays as it is."""
    from ..output import say

    with connect(url, key) as server:
        for run in runs:
            server.delete(f"/v1/runs/{run}")
            say(f"cancelled {run}")


@app.command()
def rerun(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Ids of the runs; without them, those that the options name.")
    ] = None,
    from_step: Annotated[str, typer.Option(help="Of one run: keep the results of the steps before this one.")] = "",
    status: Annotated[str, typer.Option(help="All runs of this status; Failed is the useful one.")] = "",
    function: OfFunction = "",
    app_name: Annotated[str, typer.Option("--app", help="Only runs of this app.")] = "",
    text: Annotated[str, typer.Option(help="Only runs whose events or output contain this text.")] = "",
    cel: Annotated[str, typer.Option("--if", help="CEL over `event` and `output`.")] = "",
    since: Since = "",
    until: Until = "",
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Runs a second, at most.")] = 50.0,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that such a command has repeated already.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Run again: the same function, as it is now, with the same events.

    Those that a filter names are counted first, and each is repeated once however often the command is given.

    penstock runs rerun --status Failed --function shop/fulfil-order --from 1d
    """
    from ..repeating import by_filter, by_id

    with connect(url, key) as server:
        if runs:
            by_id(server, runs, from_step, as_json)
            return
        query = _query(status, function, app_name, "", text, cel, since, until)
        by_filter(server, query, rate, once=not again, ask=not yes, dry_run=dry_run, as_json=as_json)


def _query(
    status: str, function: str, app_name: str, user: str, text: str, cel: str, since: str, until: str
) -> dict[str, str]:
    from ..clock import now
    from ..moments import moment

    return {
        "status": status,
        "function": function,
        "app": app_name,
        "user": user,
        "text": text,
        "cel": cel,
        "from": moment(since, now(), "--from"),
        "until": moment(until, now(), "--to"),
    }


def _follow(server: Server, run: str, as_json: bool) -> None:
    from ..exit_codes import BadNews

    seen: set[object] = set()
    while True:
        # The run first: what it says of its end is said after its last step.
        found = server.get(f"/v1/runs/{run}")
        for step in server.whole(f"/v1/runs/{run}/steps"):
            if step["id"] not in seen:
                seen.add(step["id"])
                _print_step(step, as_json)
        if found["status"] in FINAL:
            _print_end(found, as_json)
            if found["status"] != "Completed":
                raise BadNews(f"run {run} is {str(found['status']).lower()}")
            return
        time.sleep(FOLLOW_SECONDS)


def _watch(server: Server, query: dict[str, str], as_json: bool) -> None:
    from ..newcomers import Newcomers
    from ..output import print_json_line

    newcomers = Newcomers("run_id")
    newcomers.begin(server.rows("/v1/runs", query, 100), "status")
    while True:
        for row in newcomers.since(server.rows("/v1/runs", query, 100), "status"):
            if as_json:
                print_json_line(row)
            else:
                print(row["run_id"], _function(row), row["status"], flush=True)
        time.sleep(FOLLOW_SECONDS)


def _print_step(step: Json, as_json: bool) -> None:
    from ..output import cell, print_json_line

    if as_json:
        print_json_line(step)
    else:
        print(f"{step['status']:<10} {cell(step['name'])} ({step['op']}, {step['duration_ms']} ms)", flush=True)


def _print_end(run: Json, as_json: bool) -> None:
    from ..output import cell, print_json_line

    if as_json:
        print_json_line(run)
    else:
        print(f"{run['status']}: {cell(run['output'])}", flush=True)


def _function(row: Json) -> object:
    return row.get("function") or row.get("function_id")
