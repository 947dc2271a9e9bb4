"""`penstock apps`: what is synced, and syncing it."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson, Key, Url, connect

app = typer.Typer(help="Look at apps, and sync them.", no_args_is_help=True)


@app.command("list")
def list_apps(url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """List apps, with how their last sync went."""
    from ..output import local_time, print_json, print_table

    with connect(url, key) as server:
        rows = server.whole("/v1/apps")
    if as_json:
        print_json(rows)
        return
    shown = [(r["name"], r["url"], r["sdk"], local_time(r["synced_at"]), r["error"] or "ok") for r in rows]
    print_table(("name", "url", "sdk", "synced", "state"), shown, "no app is synced: `penstock apps sync URL`")


@app.command()
def sync(
    target: Annotated[
        str, typer.Argument(help="Name of a known app, or the URL where a new one serves its functions.")
    ],
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make an app register its functions now.

    penstock apps sync http://127.0.0.1:8000/api/inngest
    """
    from urllib.parse import quote

    from ..exit_codes import BadNews
    from ..output import print_json, say

    if target.startswith(("http://", "https://")):
        from ..app_sync import ask_app

        done: dict[str, object] = {"url": target, "error": ask_app(target, key)}
    else:
        with connect(url, key) as server:
            done = dict(server.post(f"/v1/apps/{quote(target, safe='')}/sync"))
    if as_json:
        print_json(done)
    if done.get("error"):
        raise BadNews(f"{target} could not be synced: {done['error']}")
    if not as_json:
        say(f"synced {target}")
