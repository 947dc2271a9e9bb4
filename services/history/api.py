"""The read API below `/v1`: events, their runs, and what a run did. Answers from the read model, which follows the
topics by a fraction of a second; who asks for something that is not there yet is told so, and asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput, Unavailable
from ..messages.ids import is_ulid
from ..settings import HistorySettings
from .database import reader_engine
from .read import EventPage, HistoryReadModel, RunPage
from .shapes import event_shape, job_shape, run_shape, step_shape, timestamp

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
STATUSES = ("Running", "Completed", "Failed", "Cancelled", "Overflowed", "Scheduled", "Skipped")
_NOT_YET = "history follows the topics by a moment: if it is new, ask again"

Answer = Callable[[Request], Awaitable[object]]


class _NotFound(Exception):
    """Answered with 404; says what was looked for."""


def routes(settings: HistorySettings) -> list[BaseRoute]:
    """The routes, ready to be mounted; nothing is opened before the first request."""
    api = _ReadApi(HistoryReadModel(reader_engine(settings.database_url())))
    answers: dict[str, Answer] = {
        "/v1/events": api.events,
        "/v1/events/{event_id}": api.event,
        "/v1/events/{event_id}/runs": api.event_runs,
        "/v1/runs": api.runs,
        "/v1/runs/{run_id}": api.run,
        "/v1/runs/{run_id}/steps": api.steps,
        "/v1/runs/{run_id}/jobs": api.jobs,
    }
    return [Route(path, _enveloped(answer), methods=["GET"]) for path, answer in answers.items()]


class _ReadApi:
    def __init__(self, model: HistoryReadModel) -> None:
        self._model = model

    async def events(self, request: Request) -> object:
        page = EventPage(
            limit=_limit(request),
            name=request.query_params.get("name") or None,
            cursor=_cursor(request),
            received_after=_time(request, "received_after"),
            received_before=_time(request, "received_before"),
        )
        return [event_shape(row) for row in await asyncio.to_thread(self._model.events, page)]

    async def event(self, request: Request) -> object:
        event_id = request.path_params["event_id"]
        row = await asyncio.to_thread(self._model.event, event_id)
        if row is None:
            raise _NotFound(f"no event has the id {event_id[:100]!r}; {_NOT_YET}")
        return event_shape(row)

    async def event_runs(self, request: Request) -> object:
        event_id = request.path_params["event_id"]
        found = await asyncio.to_thread(self._model.runs_of_event, event_id)
        # An event that was accepted a moment ago has no runs yet: whoever polls for them gets an empty list.
        if not found and not is_ulid(event_id) and await asyncio.to_thread(self._model.event, event_id) is None:
            raise _NotFound(f"no event has the id {event_id[:100]!r}; {_NOT_YET}")
        return [run_shape(row) for row in found]

    async def runs(self, request: Request) -> object:
        page = RunPage(
            limit=_limit(request),
            status=_status(request),
            function=request.query_params.get("function") or None,
            cursor=_cursor(request),
        )
        return [run_shape(row) for row in await asyncio.to_thread(self._model.runs, page)]

    async def run(self, request: Request) -> object:
        run_id = _run_id(request)
        row = await asyncio.to_thread(self._model.run, run_id)
        if row is None:
            raise _no_run(run_id)
        return run_shape(row)

    async def steps(self, request: Request) -> object:
        run_id = await self._known(request)
        return [step_shape(row) for row in await asyncio.to_thread(self._model.steps, run_id)]

    async def jobs(self, request: Request) -> object:
        run_id = await self._known(request)
        rows = await asyncio.to_thread(self._model.jobs, run_id)
        return [job_shape(row, position) for position, row in enumerate(rows)]

    async def _known(self, request: Request) -> str:
        run_id = _run_id(request)
        if await asyncio.to_thread(self._model.run, run_id) is None:
            raise _no_run(run_id)
        return run_id


def _enveloped(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            data = await answer(request)
        except _NotFound as error:
            return _error(404, str(error))
        except InvalidInput as error:
            return _error(400, str(error))
        except Unavailable as error:
            return _error(503, str(error), {"retry-after": "1"})
        fetched_at = timestamp(time.time_ns() // 1_000_000)
        return _json(200, {"data": data, "metadata": {"fetched_at": fetched_at, "cached_until": None}})

    return endpoint


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json(status, {"error": message, "status": status, "data": None}, headers)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {text[:40]!r}")
    return int(text)


def _cursor(request: Request) -> str | None:
    text = request.query_params.get("cursor")
    if text and not is_ulid(text):
        raise InvalidInput(f"cursor must be the id (a ULID) of the last item you have, not {text[:40]!r}")
    return text or None


def _status(request: Request) -> str | None:
    text = request.query_params.get("status")
    if not text:
        return None
    if text.capitalize() not in STATUSES:
        raise InvalidInput(f"status must be one of {', '.join(STATUSES)}, not {text[:40]!r}")
    return text.capitalize()


def _time(request: Request, name: str) -> int | None:
    """Milliseconds of an RFC 3339 time, or of milliseconds since 1970."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
        # In a query, an unescaped `+` of a time zone arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{name} must be a time such as 2026-08-31T12:00:00Z, not {text[:40]!r}") from error


def _run_id(request: Request) -> str:
    run_id: str = request.path_params["run_id"]
    if not is_ulid(run_id):
        raise InvalidInput(f"a run id is a ULID of 26 characters, not {run_id[:40]!r}")
    return run_id


def _no_run(run_id: str) -> _NotFound:
    return _NotFound(f"no run has the id {run_id}; {_NOT_YET}")
