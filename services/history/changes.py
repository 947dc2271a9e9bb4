"""What a batch changed, in few words: for open pages that follow along. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import orjson

from .rows import Rows

#: Ids of one kind in one message; beyond it a page is told that there is more, and loads what it shows.
MAX_IDS = 200


def changed_ids(rows: Rows) -> str:
    """JSON of the ids that a batch changed, the latest of each kind first; bounded."""
    touched = {run for run, *_rest in (*rows.steps, *rows.jobs, *rows.done_jobs)}
    kinds: list[Sequence[str]] = [
        list(rows.started),
        [run for run in touched if run not in rows.started and run not in rows.ended],
        list(rows.ended),
        list(rows.events),
    ]
    started, changed, ended, events = (_latest(ids) for ids in kinds)
    return orjson.dumps(
        {
            "runs": {"started": started, "changed": changed, "ended": ended},
            "events": events,
            "functions": bool(rows.functions or rows.apps),
            "dead_letters": bool(rows.dead_letters),
            "more": any(len(ids) > MAX_IDS for ids in kinds),
        }
    ).decode()


def _latest(ids: Sequence[str]) -> list[str]:
    newest_first: Iterable[str] = reversed(ids)
    return list(islice(newest_first, MAX_IDS))
