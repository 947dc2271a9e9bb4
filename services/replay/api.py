"""`/v1/replays`: ask for a replay, look at it, pause it, let it go on, end it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput, LimitExceeded, Unavailable
from ..kafka import clients
from ..kafka.produce import AsyncProducer
from ..kafka.ranges import fixed_ranges
from ..kafka.registry import FunctionRegistry
from ..kafka.schema_registry import wait_for_codec
from ..settings import KafkaSettings, ReplaySettings
from ..web import read_body
from .desk import Desk, HasEnded, NotFound
from .log import ACKNOWLEDGED_SECONDS, ReplayLog
from .requests import parse_request, parse_resume
from .shapes import replay_shape

MAX_BODY_BYTES = 64 * 1024
DEFAULT_LIMIT = 50
MAX_LIMIT = 500
OPEN_SECONDS = 10.0

Answer = Callable[[Request, Desk], Awaitable[tuple[int, object]]]


class ReplayDesk:
    """The desk of one process. Opened by the first request: a process that is never asked pays nothing for it."""

    def __init__(self, settings: ReplaySettings, kafka: KafkaSettings) -> None:
        self._settings = settings
        self._kafka = kafka
        self._opening: asyncio.Task[Desk] | None = None
        self._parts: list[ReplayLog | FunctionRegistry | AsyncProducer] = []

    async def opened(self) -> Desk:
        """The desk; raises `Unavailable` while Kafka is away."""
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None) or self._broken():
            self._opening = asyncio.create_task(self._open())
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return await asyncio.shield(self._opening)
        except TimeoutError as error:
            raise Unavailable("waiting for Kafka; try again in a moment") from error

    def _broken(self) -> bool:
        """A producer that can send nothing any more is left behind, with what was opened beside it."""
        return any(isinstance(part, AsyncProducer) and part.broken.done() for part in self._parts[-3:])

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for part in self._parts:
            await part.close()

    async def _open(self) -> Desk:
        codec, _ = await wait_for_codec(self._kafka)
        # What nobody waits for any more must not be written later, behind what was asked instead.
        bound = {"message.timeout.ms": int(ACKNOWLEDGED_SECONDS * 1000)}
        producer = AsyncProducer(clients.producer(self._kafka, "penstock-replay-desk") | bound)
        replays, registry = ReplayLog(self._kafka, codec, producer), FunctionRegistry(self._kafka, codec)
        self._parts += [replays, producer, registry]
        await asyncio.gather(replays.start(), registry.start())
        return Desk(
            log=replays,
            functions=lambda: registry.table,
            topics=self._kafka.topics(),
            find_ranges=lambda topics, from_ms: fixed_ranges(self._kafka, topics, from_ms),
            default_rate=self._settings.replay_rate,
            now=lambda: time.time_ns() // 1_000_000,
        )


def routes(desk: ReplayDesk) -> list[BaseRoute]:
    """The routes, ready to be mounted."""
    return [
        Route("/v1/replays", _answered(desk, ask), methods=["POST"]),
        Route("/v1/replays", _answered(desk, newest), methods=["GET"]),
        Route("/v1/replays/{replay}", _answered(desk, show), methods=["GET"]),
        Route("/v1/replays/{replay}/pause", _answered(desk, pause), methods=["POST"]),
        Route("/v1/replays/{replay}/resume", _answered(desk, resume), methods=["POST"]),
        Route("/v1/replays/{replay}/cancel", _answered(desk, cancel), methods=["POST"]),
    ]


async def ask(request: Request, desk: Desk) -> tuple[int, object]:
    """201 with a new replay, 200 with the one that was asked for before."""
    state, new = await desk.ask(parse_request(await read_body(request, MAX_BODY_BYTES)))
    return 201 if new else 200, replay_shape(state)


async def newest(request: Request, desk: Desk) -> tuple[int, object]:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {text[:40]!r}")
    return 200, [replay_shape(state) for state in desk.newest(int(text))]


async def show(request: Request, desk: Desk) -> tuple[int, object]:
    return 200, replay_shape(desk.get(request.path_params["replay"]))


async def pause(request: Request, desk: Desk) -> tuple[int, object]:
    return 200, replay_shape(await desk.want(request.path_params["replay"], "pause"))


async def resume(request: Request, desk: Desk) -> tuple[int, object]:
    """Goes on where it stopped, also after a cancel or a failure; with another rate when one is given."""
    wanted = parse_resume(await read_body(request, MAX_BODY_BYTES))
    return 200, replay_shape(await desk.want(request.path_params["replay"], "run", wanted.rate))


async def cancel(request: Request, desk: Desk) -> tuple[int, object]:
    return 200, replay_shape(await desk.want(request.path_params["replay"], "cancel"))


def _answered(desk: ReplayDesk, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            status, data = await answer(request, await desk.opened())
        except NotFound as error:
            return _error(404, str(error))
        except HasEnded as error:
            return _error(409, str(error))
        except LimitExceeded as error:
            return _error(413, str(error))
        except InvalidInput as error:
            return _error(400, str(error))
        except Unavailable as error:
            return _error(503, str(error), {"retry-after": "1"})
        fetched_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return _json(status, {"data": data, "metadata": {"fetched_at": fetched_at, "cached_until": None}})

    return endpoint


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json(status, {"error": message, "status": status, "data": None}, headers)
