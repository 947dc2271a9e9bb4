"""`/v1/runs`: lists, counts, and everything about one run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request

from ..errors import InvalidInput
from ..messages.ids import is_ulid
from . import asked
from .endpoints import NOT_YET, Answer, Declared, NotFound, counted, listed
from .paging import Found
from .read import HistoryReadModel
from .shapes import attempt_shape, event_shape, job_shape, run_shape, step_shape, waiting_shape

FILTER = (
    "status",
    "function",
    "app",
    "time_field",
    "from",
    "until",
    "user",
    "text",
    "cel",
    "replay",
    "parent",
    "rerun_of",
)
PAGE = ("limit", "cursor", "direction")


class RunReadApi:
    """Answers about runs."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._runs = model.runs

    def endpoints(self) -> list[Declared]:
        return [
            Declared("/v1/runs", self._page, "Runs, newest first", "Run", True, (*FILTER, "order", *PAGE)),
            Declared("/v1/runs/count", self._count, "How many runs there are", "Count", False, FILTER),
            Declared("/v1/runs/{run_id}", self._one, "A run, and what it waits for", "Run"),
            Declared("/v1/runs/{run_id}/steps", self._steps, "Steps that have finished", "Step", True),
            Declared("/v1/runs/{run_id}/attempts", self._attempts, "Attempts that were tried again", "Attempt", True),
            Declared("/v1/runs/{run_id}/jobs", self._jobs, "Pending work and every timer", "Job", True),
            Declared("/v1/runs/{run_id}/events", self._events, "The events that started it", "Event", True),
        ]

    async def _page(self, request: Request) -> Answer:
        query = request.query_params
        wanted, page = asked.run_filter(query), asked.page_request(query)
        order = asked.time_field(query, "order")
        return listed(await asyncio.to_thread(self._runs.page, wanted, page, order, True), run_shape)

    async def _count(self, request: Request) -> Answer:
        wanted = asked.run_filter(request.query_params)
        found = await asyncio.to_thread(self._runs.count, wanted)
        by_status = await asyncio.to_thread(self._runs.count_by_status, wanted)
        return Answer(counted(found) | {"by_status": {name: counted(one) for name, one in by_status.items()}})

    async def _one(self, request: Request) -> Answer:
        row = await self._known(request)
        return Answer(await asyncio.to_thread(self._whole, row))

    async def _steps(self, request: Request) -> Answer:
        row = await self._known(request)
        return Answer([step_shape(step) for step in await asyncio.to_thread(self._runs.steps, row.run_id)])

    async def _attempts(self, request: Request) -> Answer:
        row = await self._known(request)
        found = await asyncio.to_thread(self._runs.attempts, row.run_id)
        return Answer([attempt_shape(attempt) for attempt in found])

    async def _jobs(self, request: Request) -> Answer:
        row = await self._known(request)
        found = await asyncio.to_thread(self._runs.jobs, row.run_id)
        return Answer([job_shape(job, position) for position, job in enumerate(found)])

    async def _events(self, request: Request) -> Answer:
        row = await self._known(request)
        return Answer([event_shape(event) for event in await asyncio.to_thread(self._runs.events, row.run_id)])

    def _whole(self, row: Found) -> object:
        """The run with what it waits for and its relatives."""
        children: Sequence[Found] = self._runs.children(row.run_id)
        return run_shape(row) | {
            "waiting_for": [waiting_shape(job) for job in self._runs.jobs(row.run_id) if job.kind != "call"],
            "children": [
                {"run_id": child.run_id, "function": child.function, "status": child.status, "job": child.parent_job}
                for child in children
            ],
            "reruns": [rerun.run_id for rerun in self._runs.reruns(row.run_id)],
        }

    async def _known(self, request: Request) -> Found:
        run_id: str = request.path_params["run_id"]
        if not is_ulid(run_id):
            raise InvalidInput(f"a run id is a ULID of 26 characters, not {run_id[:40]!r}")
        row = await asyncio.to_thread(self._runs.one, run_id)
        if row is None:
            raise NotFound(f"no run has the id {run_id}; {NOT_YET}")
        return row
