"""Runs that are started again: some that are named, or all that a filter finds, counted first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import typer

from .exit_codes import BadNews, Refused
from .output import print_json, say
from .progress import progress
from .server import Json, Server

#: The same for every command: so a run that was repeated by one is not repeated by the next.
ONCE = "once"
MOST = 1_000_000


def by_id(server: Server, runs: Sequence[str], from_step: str, as_json: bool) -> None:
    """Repeat these, each time they are named."""
    begun = [server.post(f"/v1/runs/{run}/rerun", _from(server, run, from_step)) for run in runs]
    if as_json:
        print_json(begun)
        return
    for each in begun:
        print(each["run_id"])


def by_filter(
    server: Server, query: Mapping[str, str], rate: float, *, once: bool, ask: bool, dry_run: bool, as_json: bool
) -> None:
    """Count, ask, repeat; what fails is told at the end and does not stop the others."""
    if not any(query.values()):
        raise Refused("name runs by id, or by --status, --function, --app, --text, --if, --from or --to")
    wanted = [str(row["run_id"]) for row in server.rows("/v1/runs", query, MOST)]
    if dry_run or not wanted:
        print_json({"runs": len(wanted)}) if as_json else say(f"{len(wanted)} runs match")
        return
    if ask and not typer.confirm(f"{len(wanted)} runs match. Run all of them again?", err=True):
        raise Refused("nothing was done")
    begun, failures = _repeat(server, wanted, rate, {"idempotency_key": ONCE} if once else {}, quiet=as_json)
    if as_json:
        print_json({"runs": len(wanted), "begun": begun, "failures": failures})
    else:
        rest = len(wanted) - len(begun) - len(failures)
        say(f"{len(begun)} of {len(wanted)} run again" + (f", {rest} have been before" if rest else ""))
    if failures:
        first = next(iter(failures.items()))
        raise BadNews(f"{len(failures)} could not be run again; {first[0]}: {first[1]}")


def _from(server: Server, run: str, step: str) -> Json:
    """The step by its id, or by the name that its author gave it."""
    if not step:
        return {}
    named = [each["id"] for each in server.whole(f"/v1/runs/{run}/steps") if each["name"] == step]
    return {"from_step": named[0] if named else step}


def _repeat(
    server: Server, runs: Sequence[str], rate: float, body: Json, quiet: bool
) -> tuple[list[object], dict[str, str]]:
    begun: list[object] = []
    failures: dict[str, str] = {}
    once = bool(body)
    began = time.monotonic()
    with progress("running again", quiet) as bar:
        for place, run in enumerate(runs, 1):
            try:
                # Executors forget ended runs after a day; history knows for longer who was repeated.
                if not (once and any(server.rows("/v1/runs", {"rerun_of": run}, 1))):
                    begun.append(server.post(f"/v1/runs/{run}/rerun", body).get("run_id"))
            except Refused as error:
                failures[run] = str(error)
            bar.at(place, len(runs))
            time.sleep(max(began + place / rate - time.monotonic(), 0))
    return begun, failures
