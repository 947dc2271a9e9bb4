"""`penstock audit`: what must always hold, checked from the topics."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AsJson

if TYPE_CHECKING:
    from ...audit.ends import Shown


def audit(
    state: Annotated[
        list[Path] | None,
        typer.Option(
            help="Data directory of an executor or a matcher, whose local stores are held against the topics; "
            "may be given several times."
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Also hold history against the changelog (PENSTOCK_HISTORY_DATABASE_URL).")
    ] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="Write the outcome to this file too, in Prometheus' text format.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check from the topics alone that nothing was lost, done twice or left behind; exit code 5 when something was.

    Reads every topic once; changes nothing, and may run beside a system at work.

    Example: penstock audit --state .penstock --history
    """
    from ...audit.audit import audit as look
    from ...audit.metrics import exposition
    from ...settings import KafkaSettings
    from ..exit_codes import BadNews
    from ..output import print_json

    found = look(KafkaSettings(), _existing(state or []), _say, _history() if history else None)
    if metrics is not None:
        _written(metrics, exposition(found, time.time()))
    if as_json:
        findings = [{"rule": f.rule, "about": f.about, "message": f.message} for f in found.kept]
        print_json({"checked": found.checked, "breaches": found.breaches, "findings": findings})
    else:
        for line in found.lines():
            print(line)
        print("checked: " + ", ".join(f"{count} {what}" for what, count in sorted(found.checked.items())))
    if not found.clean:
        raise BadNews(f"{sum(found.breaches.values())} breaches of rules that must always hold")


def _existing(folders: list[Path]) -> list[Path]:
    """A folder that is mistyped would be a check that is not made."""
    from ...errors import InvalidInput

    for folder in folders:
        if not ((folder / "state").is_dir() or (folder / "waits").is_dir()):
            raise InvalidInput(f"{folder} is no data directory: it has neither `state` nor `waits` in it")
    return folders


def _written(path: Path, text: str) -> None:
    """At once, because a collector may read at any time."""
    from ...errors import InvalidInput

    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_text(text, "utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise InvalidInput(f"the metrics cannot be written to {path}: {error}") from error


def _history() -> Shown:
    from ...history.database import reader_engine
    from ...history.statuses import statuses
    from ...settings import HistorySettings

    return partial(statuses, reader_engine(HistorySettings().database_url()))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
