"""`penstock replay` and `penstock replays`: run a function for events that lie on Kafka already."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AsJson, Key, Since, Until, Url, connect

if TYPE_CHECKING:
    from ..server import Json, Server

app = typer.Typer(help="Look at replays, pause, resume and cancel them.", no_args_is_help=True)

FOLLOW_SECONDS = 0.5
OVER = ("Completed", "Cancelled", "Failed", "Paused")
Id = Annotated[str, typer.Argument(help="Its id.")]


def replay(
    function: Annotated[str, typer.Option("--function", "-F", help="The function (app/slug) whose runs it starts.")],
    since: Since = "",
    until: Until = "",
    event: Annotated[
        str, typer.Option(help="Only events of this name (shop/* too), also where no trigger has it.")
    ] = "",
    condition: Annotated[str, typer.Option("--if", help="Only events for which this CEL expression holds.")] = "",
    ignore_triggers: Annotated[
        bool, typer.Option("--ignore-triggers", help="Do not ask the triggers' expressions.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="End after so many events that match; 0 for all.")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="Runs to start in a second; 0 for the server's default.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, by day, and start nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also when the same was replayed before: run all again.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; it goes on by itself.")] = False,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Run a function for events of the past, also one that is newer than they are.

    The server carries it out: Ctrl-C stops only the watching. The same replay a second time starts nothing.

    penstock replay -F shop/fulfil-order --from 7d --dry-run

    penstock replay -F shop/fulfil-order --from 2026-08-01 --to 2026-09-01 --rate 200
    """
    from ..clock import now
    from ..moments import moment

    wanted = {
        "function": function,
        "from": moment(since, now(), "--from"),
        "to": moment(until, now(), "--to"),
        "event": event,
        "if": condition,
        "ignore_triggers": ignore_triggers,
        "limit": limit,
        "rate": rate,
        "dry_run": dry_run,
        "force": force,
    }
    with connect(url, key) as server:
        begun = server.post("/v1/replays", {name: value for name, value in wanted.items() if value})
        if not detach:
            begun = _follow(server, begun, as_json)
    _report(begun, as_json)


@app.command("list")
def list_replays(url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """List replays, the newest first."""
    from ..output import local_time, print_json, print_table

    with connect(url, key) as server:
        rows = server.whole("/v1/replays")
    if as_json:
        print_json(rows)
        return
    shown = [(r["id"], r["function"], r["status"], _share(r), r["started"], local_time(r["created_at"])) for r in rows]
    print_table(
        ("id", "function", "status", "read", "started", "asked for"),
        shown,
        "no replay yet; see `penstock replay --help`",
    )


@app.command()
def show(replay_id: Id, url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """Show a replay: what was asked for, and how far it is."""
    from ..output import print_details, print_json

    with connect(url, key) as server:
        found = server.get(f"/v1/replays/{replay_id}")
    print_json(found) if as_json else print_details(found.items())


@app.command()
def watch(replay_id: Id, url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """Follow a replay until it is over or paused; exit code 5 when it failed."""
    with connect(url, key) as server:
        found = _follow(server, server.get(f"/v1/replays/{replay_id}"), as_json)
    _report(found, as_json)


@app.command()
def pause(replay_id: Id, url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """Let a replay stand still; `resume` goes on where it was."""
    _act(replay_id, "pause", {}, url, key, as_json)


@app.command()
def resume(
    replay_id: Id,
    rate: Annotated[float, typer.Option(min=0, help="Runs to start in a second from now on.")] = 0.0,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Go on with a replay that was paused or cancelled, or has failed; or change the rate of one that is under way."""
    _act(replay_id, "resume", {"rate": rate} if rate else {}, url, key, as_json)


@app.command()
def cancel(replay_id: Id, url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """End a replay. Runs that it has started go on."""
    _act(replay_id, "cancel", {}, url, key, as_json)


def _act(replay_id: str, action: str, body: Json, url: str, key: str, as_json: bool) -> None:
    from ..output import print_json, say

    with connect(url, key) as server:
        found = server.post(f"/v1/replays/{replay_id}/{action}", body)
    if as_json:
        print_json(found)
    else:
        say(f"{found['id']}: {found['status']}, {_share(found)} records read, {found['started']} runs started")


def _follow(server: Server, found: Json, as_json: bool) -> Json:
    from ..output import say
    from ..progress import progress

    try:
        with progress("counting" if found["dry_run"] else "replaying", quiet=as_json) as bar:
            while found["status"] not in OVER:
                time.sleep(FOLLOW_SECONDS)
                found = server.get(f"/v1/replays/{found['id']}")
                note = f"{found['matched']} match" + (f"; waits: {found['held_back']}" if found["held_back"] else "")
                bar.at(float(str(found["done"])), float(str(found["total"])), note)
    except KeyboardInterrupt:
        say(f"\nit goes on without us; `penstock replays watch {found['id']}` shows it, `… cancel …` ends it")
        raise
    return found


def _report(found: Json, as_json: bool) -> None:
    from collections.abc import Mapping

    from ..exit_codes import BadNews
    from ..output import print_json, print_table

    if as_json:
        print_json(found)
    else:
        print(f"{found['id']}: {found['status']}, {_share(found)} records read, {_outcome(found)}")
        by_day = found["by_day"]
        if found["dry_run"] and isinstance(by_day, Mapping) and by_day:
            print_table(("day", "events"), by_day.items(), "")
    if found["status"] == "Failed":
        raise BadNews(f"replay {found['id']} has failed: {found['error']}")


def _outcome(found: Json) -> str:
    if not found["dry_run"]:
        return f"{found['matched']} events match, {found['started']} runs started"
    seconds = float(str(found["seconds_at_rate"]))
    return f"{found['matched']} runs would start, in about {_span(seconds)} at {found['rate']}/s"


def _span(seconds: float) -> str:
    """Seconds, minutes or hours, as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _share(found: Json) -> str:
    return f"{found['done']} of {found['total']}"
