"""What history shows of many runs at once: for the audit, which holds it against the changelog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from ..errors import Unavailable
from ..messages.ids import RunId
from .tables import runs


def statuses(engine: Engine, wanted: Sequence[RunId]) -> Mapping[RunId, str]:
    """The status of each of these runs that history knows; `Unavailable` when the database does not answer."""
    query = select(runs.c.run_id, runs.c.status).where(runs.c.run_id.in_(wanted))
    try:
        with engine.connect() as connection:
            return {RunId(run): status for run, status in connection.execute(query)}
    except DBAPIError as error:
        raise Unavailable(f"history's database does not answer: {error.orig}") from error
