"""`/v1/functions`, `/v1/apps`, `/v1/waits`, `/v1/dead-letters`: what is registered, waits, could not be used."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from ..errors import InvalidInput
from . import asked
from .endpoints import NOT_YET, Answer, Declared, NotFound, counted, listed
from .read import HistoryReadModel
from .run_api import PAGE
from .shapes import app_shape, bucket_shape, dead_letter_shape, function_shape, version_shape, wait_shape
from .statistics import MAX_BUCKETS


class RegistryReadApi:
    """Answers about everything but runs and events."""

    def __init__(self, model: HistoryReadModel) -> None:
        self._model = model

    def endpoints(self) -> list[Declared]:
        window = ("from", "until")
        return [
            Declared("/v1/functions", self._functions, "Functions", "Function", True, ("app", "archived")),
            Declared("/v1/functions/overview", self._overview, "Runs of each function", "Overview", False, window),
            Declared(
                "/v1/functions/stats",
                self._statistics,
                "Rates and durations of a function over time",
                "Bucket",
                True,
                ("function", *window, "buckets"),
            ),
            Declared("/v1/functions/versions", self._versions, "Its versions", "Version", True, ("function",)),
            Declared("/v1/apps", self._apps, "Apps", "App", True),
            Declared("/v1/waits", self._waits, "What runs wait for", "Wait", True, ("kind", "function", "text", *PAGE)),
            Declared("/v1/waits/count", self._wait_counts, "How much of each kind", "WaitCounts"),
            Declared(
                "/v1/dead-letters",
                self._dead_letters,
                "Records that could not be used",
                "DeadLetter",
                True,
                ("topic", "text", *window, *PAGE),
            ),
            Declared("/v1/dead-letters/{letter_id}", self._dead_letter, "One of them", "DeadLetter"),
        ]

    async def _functions(self, request: Request) -> Answer:
        query = request.query_params
        archived = asked.choice(query, "archived", ("true", "false"), "false") == "true"
        found = await asyncio.to_thread(self._model.functions.all, asked.text(query, "app"), archived)
        return Answer([function_shape(row) for row in found])

    async def _overview(self, request: Request) -> Answer:
        found = await asyncio.to_thread(self._model.statistics.overview, *asked.window(request.query_params))
        return Answer({key: {name: counted(one) for name, one in of.items()} for key, of in found.items()})

    async def _statistics(self, request: Request) -> Answer:
        query = request.query_params
        buckets = asked.whole_number(query, "buckets", 48, 1, MAX_BUCKETS)
        since, until = asked.window(query)
        function = _function(request)
        found = await asyncio.to_thread(self._model.statistics.of_function, function, since, until, buckets)
        return Answer([bucket_shape(bucket) for bucket in found])

    async def _versions(self, request: Request) -> Answer:
        found = await asyncio.to_thread(self._model.functions.versions, _function(request))
        return Answer([version_shape(row) for row in found])

    async def _apps(self, _request: Request) -> Answer:
        return Answer([app_shape(row) for row in await asyncio.to_thread(self._model.apps.all)])

    async def _waits(self, request: Request) -> Answer:
        wanted, page = asked.wait_filter(request.query_params), asked.page_request(request.query_params)
        return listed(await asyncio.to_thread(self._model.waits.page, wanted, page), wait_shape)

    async def _wait_counts(self, _request: Request) -> Answer:
        found = await asyncio.to_thread(self._model.waits.counts)
        return Answer({kind: counted(one) for kind, one in found.items()})

    async def _dead_letters(self, request: Request) -> Answer:
        wanted, page = asked.dead_letter_filter(request.query_params), asked.page_request(request.query_params)
        return listed(await asyncio.to_thread(self._model.dead_letters.page, wanted, page), dead_letter_shape)

    async def _dead_letter(self, request: Request) -> Answer:
        letter_id: str = request.path_params["letter_id"]
        row = await asyncio.to_thread(self._model.dead_letters.one, letter_id)
        if row is None:
            raise NotFound(f"no dead letter has the id {letter_id[:100]!r}; {NOT_YET}")
        return Answer(dead_letter_shape(row))


def _function(request: Request) -> str:
    function = asked.text(request.query_params, "function")
    if not function:
        raise InvalidInput("function must name one, as app/function; /v1/functions lists them")
    return function
