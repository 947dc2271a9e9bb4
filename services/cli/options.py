"""Options that many commands share, and what they mean together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .server import Server

Url = Annotated[
    str,
    typer.Option("--url", metavar="URL", help="Server to talk to, instead of PENSTOCK_URL.", rich_help_panel="Server"),
]
Key = Annotated[
    str,
    typer.Option(
        "--key", metavar="KEY", help="Signing key, instead of PENSTOCK_SIGNING_KEY.", rich_help_panel="Server"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many, the newest first.")]
Since = Annotated[
    str,
    typer.Option(
        "--from", metavar="TIME", help="From then on: 2026-08-31T12:00:00Z, 2026-08-31, or 2h for two hours ago."
    ),
]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Up to then, written likewise.")]


def connect(url: str, key: str) -> Server:
    """The server that options and settings name."""
    from ..settings import ClientSettings
    from .server import Server

    given = {name: value for name, value in (("url", url), ("signing_key", key)) if value}
    return Server(ClientSettings().model_copy(update=given))
