"""`penstock functions`: what is registered."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson, Key, Url, connect

app = typer.Typer(help="Look at the functions that apps have registered.", no_args_is_help=True)


@app.command("list")
def list_functions(
    app_name: Annotated[str, typer.Option("--app", help="Only functions of this app.")] = "",
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List functions, with what triggers them."""
    from ..output import print_json, print_table

    with connect(url, key) as server:
        rows = server.whole("/v1/functions", {"app": app_name})
    if as_json:
        print_json(rows)
        return
    shown = [(r["key"], r["name"], r["version"], _triggers(r)) for r in rows]
    print_table(("key", "name", "version", "triggers"), shown, "no function is registered: `penstock apps sync` an app")


@app.command()
def show(
    function: Annotated[str, typer.Argument(help="Its key (app/slug), or its slug where only one app has it.")],
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show a function: triggers, where it is called, and its whole configuration."""
    import difflib

    from ..exit_codes import NotFound
    from ..output import local_time, print_details, print_json

    with connect(url, key) as server:
        rows = server.whole("/v1/functions")
    found = [r for r in rows if r["key"] == function] or [r for r in rows if r["slug"] == function]
    if len(found) != 1:
        keys = [str(r["key"]) for r in rows]
        near = difflib.get_close_matches(function, keys, 3, 0.4) or keys[:3]
        raise NotFound(f"no function has the key {function!r}; there are: {', '.join(near) or 'none'}")
    if as_json:
        print_json(found[0])
        return
    shown = {**found[0], "triggers": _triggers(found[0]), "registered_at": local_time(found[0].get("registered_at"))}
    names = ("key", "name", "app", "version", "triggers", "registered_at", "config")
    print_details((name, shown.get(name)) for name in names)


def _triggers(row: object) -> str:
    """Event names and cron schedules, the way people write them."""
    from collections.abc import Mapping

    config = row.get("config") if isinstance(row, Mapping) else None
    listed = row.get("triggers") if isinstance(row, Mapping) else None
    triggers = listed or (config.get("triggers") if isinstance(config, Mapping) else None) or []
    return ", ".join(str(t.get("event") or t.get("cron")) for t in triggers if isinstance(t, Mapping))
