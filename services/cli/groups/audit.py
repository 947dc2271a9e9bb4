"""`penstock audit`: what must always hold, checked from the topics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson


def audit(
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of an executor's local stores (partition-0 …), to be held against the changelog."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check from the topics alone that nothing was lost, done twice or left behind; exit code 5 when something was.

    Reads every topic once; changes nothing, and may run beside a system at work.

    Example: penstock audit --state .penstock/state/penstock
    """
    from ...audit.audit import audit as look
    from ...settings import KafkaSettings
    from ..exit_codes import BadNews
    from ..output import print_json

    found = look(KafkaSettings(), state, _say)
    if as_json:
        findings = [{"rule": f.rule, "about": f.about, "message": f.message} for f in found.kept]
        print_json({"checked": found.checked, "breaches": found.breaches, "findings": findings})
    else:
        for line in found.lines():
            print(line)
        print("checked: " + ", ".join(f"{count} {what}" for what, count in sorted(found.checked.items())))
    if not found.clean:
        raise BadNews(f"{sum(found.breaches.values())} breaches of rules that must always hold")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
