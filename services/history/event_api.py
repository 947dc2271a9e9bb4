"""`/v1/events`: lists, counts, and what became of one event."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from ..messages.ids import is_ulid
from . import asked
from .endpoints import NOT_YET, Answer, Declared, NotFound, counted, listed
from .paging import Found
from .read import HistoryReadModel
from .run_api import PAGE
from .shapes import event_shape, resumed_shape, run_shape

FILTER = ("name", "internal", "from", "until", "received_after", "received_before", "user", "text", "cel")


class EventReadApi:
    """Answers about events."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._events = model.events

    def endpoints(self) -> list[Declared]:
        return [
            Declared("/v1/events", self._page, "Events, newest first", "Event", True, (*FILTER, *PAGE)),
            Declared("/v1/events/count", self._count, "How many events there are", "Count", False, FILTER),
            Declared("/v1/events/names", self._names, "Names that events have", "Name", True, ("prefix",)),
            Declared("/v1/events/{event_id}", self._one, "An event, by either of its ids", "Event"),
            Declared("/v1/events/{event_id}/runs", self._runs, "Runs that it started", "Run", True),
            Declared("/v1/events/{event_id}/resumed", self._resumed, "Runs that waited for it", "Resumed", True),
        ]

    async def _page(self, request: Request) -> Answer:
        wanted, page = asked.event_filter(request.query_params), asked.page_request(request.query_params)
        return listed(await asyncio.to_thread(self._events.page, wanted, page), event_shape)

    async def _count(self, request: Request) -> Answer:
        return Answer(counted(await asyncio.to_thread(self._events.count, asked.event_filter(request.query_params))))

    async def _names(self, request: Request) -> Answer:
        return Answer(await asyncio.to_thread(self._events.names, asked.text(request.query_params, "prefix")))

    async def _one(self, request: Request) -> Answer:
        return Answer(event_shape(await self._known(request)))

    async def _runs(self, request: Request) -> Answer:
        event_id = request.path_params["event_id"]
        found = await asyncio.to_thread(self._events.runs_started, event_id)
        # An event that was accepted a moment ago has no runs yet: whoever polls for them gets an empty list.
        if not found and not is_ulid(event_id):
            await self._known(request)
        return Answer([run_shape(row) for row in found])

    async def _resumed(self, request: Request) -> Answer:
        row = await self._known(request)
        found = await asyncio.to_thread(self._events.runs_resumed, row.internal_id)
        return Answer([resumed_shape(run) for run in found])

    async def _known(self, request: Request) -> Found:
        event_id: str = request.path_params["event_id"]
        row = await asyncio.to_thread(self._events.one, event_id)
        if row is None:
            raise NotFound(f"no event has the id {event_id[:100]!r}; {NOT_YET}")
        return row
