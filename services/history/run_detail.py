"""One run: what it did, what it waits for, what it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, literal, select, tuple_

from ..messages.ids import DISCOVERY
from .paging import Found
from .reading import Reader
from .run_list import run_query
from .tables import attempts, events, jobs, run_events, runs, steps

MAX_RELATIVES = 200


class RunDetail:
    """Answers about one run; nothing for one that is unknown."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def one(self, run_id: str) -> Found | None:
        """The run with its output; a final status never stands without it."""
        return self._reader.first(run_query(output=True).where(runs.c.run_id == run_id))

    def steps(self, run_id: str) -> Sequence[Found]:
        """Finished steps, in the order in which they finished."""
        query = select(steps).where(steps.c.run_id == run_id)
        return self._reader.all(query.order_by(steps.c.position, steps.c.step_id))

    def step(self, run_id: str, step_id: str) -> Found | None:
        return self._reader.first(select(steps).where(steps.c.run_id == run_id, steps.c.step_id == step_id))

    def attempts(self, run_id: str) -> Sequence[Found]:
        """Attempts that failed and were followed by another, oldest first.

        The first of a job began when nobody noted it (`started_at` is None); later ones when they were due. A step that
        ran in a discovery is `of_step` once it has finished: it began when that discovery's last attempt was due.
        """
        before = attempts.alias()
        start = select(before.c.next_at).where(
            before.c.run_id == attempts.c.run_id,
            before.c.job_id == attempts.c.job_id,
            before.c.attempt == attempts.c.attempt - 1,
        )
        began = select(before.c.attempt + 1, before.c.next_at)
        began = began.where(before.c.run_id == attempts.c.run_id, before.c.job_id == attempts.c.job_id)
        found = select(steps.c.step_id).where(
            steps.c.run_id == attempts.c.run_id, tuple_(steps.c.attempt, steps.c.started_at).in_(began)
        )
        found_step = func.coalesce(found.limit(1).scalar_subquery(), attempts.c.step_id)
        of_step = case((attempts.c.step_id == DISCOVERY, found_step), else_=attempts.c.step_id)
        query = select(attempts, start.scalar_subquery().label("started_at"), of_step.label("of_step"))
        query = query.where(attempts.c.run_id == run_id)
        return self._reader.all(query.order_by(attempts.c.ended_at, attempts.c.job_id, attempts.c.attempt))

    def jobs(self, run_id: str) -> Sequence[Found]:
        """Pending work, every timer and everything waited for, the next first; an ended run has none."""
        of_live_run = select(jobs).join(runs, runs.c.run_id == jobs.c.run_id)
        query = of_live_run.where(jobs.c.run_id == run_id, runs.c.ended_at.is_(None))
        return self._reader.all(query.order_by(jobs.c.due_at, jobs.c.job_id))

    def events(self, run_id: str) -> Sequence[Found]:
        """The events that started it, in their order; those that history holds."""
        query = select(events, run_events.c.position).join(
            run_events, run_events.c.event_internal_id == events.c.internal_id
        )
        return self._reader.all(query.where(run_events.c.run_id == run_id).order_by(run_events.c.position))

    def event_ids(self, run_id: str) -> list[str]:
        """Internal ids of the events that started it, also of those that history does not hold."""
        query = select(run_events.c.event_internal_id).where(run_events.c.run_id == run_id)
        return [row.event_internal_id for row in self._reader.all(query.order_by(run_events.c.position))]

    def children(self, run_id: str) -> Sequence[Found]:
        """Runs that it invoked, oldest first; `parent_job` says which step did."""
        return self._relatives("parent_run", run_id)

    def reruns(self, run_id: str) -> Sequence[Found]:
        """Runs that repeat it, oldest first."""
        return self._relatives("rerun_of", run_id)

    def _relatives(self, column: str, run_id: str) -> Sequence[Found]:
        query = run_query(output=False).where(runs.c[column] == literal(run_id), runs.c[column] != "")
        return self._reader.all(query.order_by(runs.c.run_id).limit(MAX_RELATIVES))
