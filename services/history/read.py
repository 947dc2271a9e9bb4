"""Questions to the read model. Each is one or two queries on an index; none writes.

Methods block: call them off the event loop. A database that is away, or not made yet, raises `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Engine, Row, Select, and_, select
from sqlalchemy.exc import DBAPIError, TimeoutError

from ..errors import Unavailable
from ..messages.ids import ulid
from .rows import bounded_key, plain
from .tables import events, is_text, jobs, run_events, runs, steps

Found: TypeAlias = Row[Any]
_MAX_RUNS_OF_AN_EVENT = 1000
#: An internal id holds about the time of reception: its sender may have drawn it by another clock.
_ID_DIFFERENCE_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class EventPage:
    """Which events: newest first, behind `cursor` (an internal id)."""

    limit: int
    name: str | None = None
    cursor: str | None = None
    received_after: int | None = None
    received_before: int | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Which runs: newest first, behind `cursor` (a run id)."""

    limit: int
    status: str | None = None
    function: str | None = None
    cursor: str | None = None


class HistoryReadModel:
    """Answers from the database, a connection of a small pool at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def events(self, page: EventPage) -> Sequence[Found]:
        query = select(events)
        if page.name is not None:
            query = query.where(is_text(events.c.name, plain(page.name)))
        if page.cursor is not None:
            query = query.where(events.c.internal_id < page.cursor)
        if page.received_after is not None:
            first = ulid(page.received_after - _ID_DIFFERENCE_MS, bytes(10))
            query = query.where(events.c.received_at >= page.received_after, events.c.internal_id >= first)
        if page.received_before is not None:
            last = ulid(page.received_before + _ID_DIFFERENCE_MS, bytes(10))
            query = query.where(events.c.received_at < page.received_before, events.c.internal_id < last)
        return self._all(query.order_by(events.c.internal_id.desc()).limit(page.limit))

    def event(self, event_id: str) -> Found | None:
        """The event with this internal id, or else the newest with this id of a producer."""
        found = self._all(select(events).where(events.c.internal_id == plain(event_id)))
        if not found:
            by_id = select(events).where(is_text(events.c.id, plain(event_id)))
            found = self._all(by_id.order_by(events.c.internal_id.desc()).limit(1))
        return found[0] if found else None

    def runs_of_event(self, event_id: str) -> Sequence[Found]:
        """Runs that the event started, by its internal id or a producer's; oldest first."""
        by_id = select(events.c.internal_id).where(is_text(events.c.id, plain(event_id)))
        found = self._all(by_id.order_by(events.c.internal_id.desc()).limit(_MAX_RUNS_OF_AN_EVENT))
        event_ids = [bounded_key(event_id), *(row.internal_id for row in found)]
        wanted = select(run_events.c.run_id).where(run_events.c.event_internal_id.in_(event_ids))
        query = _run_query().where(runs.c.run_id.in_(wanted))
        return self._all(query.order_by(runs.c.run_id).limit(_MAX_RUNS_OF_AN_EVENT))

    def run(self, run_id: str) -> Found | None:
        found = self._all(_run_query().where(runs.c.run_id == run_id))
        return found[0] if found else None

    def runs(self, page: RunPage) -> Sequence[Found]:
        query = _run_query()
        if page.status is not None:
            query = query.where(runs.c.status == page.status)
        if page.function is not None:
            query = query.where(is_text(runs.c.function, plain(page.function)))
        if page.cursor is not None:
            query = query.where(runs.c.run_id < page.cursor)
        return self._all(query.order_by(runs.c.run_id.desc()).limit(page.limit))

    def steps(self, run_id: str) -> Sequence[Found]:
        """Finished steps, in the order in which they finished."""
        return self._all(select(steps).where(steps.c.run_id == run_id).order_by(steps.c.position, steps.c.step_id))

    def jobs(self, run_id: str) -> Sequence[Found]:
        """Pending work, the next first; an ended run has none."""
        of_live_run = select(jobs).join(runs, runs.c.run_id == jobs.c.run_id)
        query = of_live_run.where(jobs.c.run_id == run_id, runs.c.ended_at.is_(None))
        return self._all(query.order_by(jobs.c.due_at, jobs.c.job_id))

    def _all(self, query: Select[Any]) -> Sequence[Found]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable(
                "the history database does not answer: is `penstock history` running? Try again in a moment"
            ) from error


def _run_query() -> Select[Any]:
    """A run with the first of its events."""
    first = and_(run_events.c.run_id == runs.c.run_id, run_events.c.position == 0)
    return select(runs, run_events.c.event_internal_id).select_from(runs.outerjoin(run_events, first))
