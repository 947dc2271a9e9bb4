"""`penstock dead-letters`: what could not be used, why, and once more."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson, Key, Limit, Since, Until, Url, connect

app = typer.Typer(help="Look at records that could not be used, and send them again.", no_args_is_help=True)


@app.command("list")
def list_letters(
    topic: Annotated[str, typer.Option(help="Only from this topic.")] = "",
    text: Annotated[str, typer.Option(help="Only with this text in the reason.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first, each with its reason."""
    from ..clock import now
    from ..moments import moment
    from ..output import local_time, print_json, print_table

    query = {
        "topic": topic,
        "text": text,
        "from": moment(since, now(), "--from"),
        "until": moment(until, now(), "--to"),
    }
    with connect(url, key) as server:
        rows = list(server.rows("/v1/dead-letters", query, limit))
    if as_json:
        print_json(rows)
        return
    shown = [
        (r["id"], f"{r['topic']}/{r['partition']}@{r['offset']}", local_time(r["seen_at"]), r["reason"]) for r in rows
    ]
    print_table(("id", "place", "seen", "reason"), shown, "no dead letters")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="Its id.")], url: Url = "", key: Key = "", as_json: AsJson = False
) -> None:
    """Show a dead letter: the bytes as they lay, their place and the reason."""
    from ..output import print_details, print_json

    with connect(url, key) as server:
        found = server.get(f"/v1/dead-letters/{letter}")
    if as_json:
        print_json(found)
        return
    # The bytes as text, where they are one; base64 only where they are not.
    hidden = "value" if found.get("value_text") is not None else "value_text"
    print_details((name, value) for name, value in found.items() if name != hidden)


@app.command()
def retry(
    letters: Annotated[list[str], typer.Argument(help="Ids of dead letters.")],
    value: Annotated[
        str, typer.Option(help="Of one: send this text instead of what lay there; @file reads a file.")
    ] = "",
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, to the topic where they lay: as they were, or repaired.

    penstock dead-letters retry 01J… --value '{"name": "shop/order.placed", "data": {}}'
    """
    from ..event_input import content
    from ..exit_codes import Refused
    from ..output import print_json, say

    if value and len(letters) > 1:
        raise Refused("--value is for one dead letter; name one")
    body = {"value": content(value, "--value").decode()} if value else {}
    with connect(url, key) as server:
        sent = [server.post(f"/v1/dead-letters/{letter}/resend", body) for letter in letters]
    print_json(sent) if as_json else say(f"sent {len(sent)} again")
