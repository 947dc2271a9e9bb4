"""Functions started by name, without an event of their own: `POST /invoke/…` and its second version.

The run's id is known before the run is: it follows from the function and the event (or the idempotency key).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput, LimitExceeded, Unavailable
from ..functions.starting import start_run
from ..functions.triggering import event_json
from ..messages.ids import FunctionKey, RunId, run_id, run_partition
from ..messages.records import StartRun
from .answers import answer, enveloped, error_answer, timestamp
from .bodies import BodyReader
from .event_api import SEED_HEADER
from .events import Seed, parse_seed, read_invocation
from .forwarding import Forwarding, Question
from .function_names import BELOW_APP, named, named_below, unknown
from .publish import Publisher

MAX_KEY_CHARACTERS = 512
#: How long a caller with an idempotency key waits for the run's owner to take the command.
FIRST_RUN_SECONDS = 10.0
PAUSE_SECONDS = 0.02
_KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class InvokeApi:
    """Starts one function. Answered when Kafka has the command and the event that tells of it."""

    publisher: Publisher
    forwarding: Forwarding
    bodies: BodyReader
    partitions: int
    now: Callable[[], int]

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/invoke/{slug:path}", self.invoke, methods=["POST"]),
            Route("/v2/apps/{app:path}/functions/{function:path}/invoke", self.invoke_v2, methods=["POST"]),
        ]

    async def invoke(self, request: Request) -> Response:
        """The body is an event without a name. Sent again with the same seed, or the same `id`, it starts nothing."""
        slug, table = request.path_params["slug"], self.publisher.table
        function = named(slug, table)
        if function is None:
            return self._unknown(unknown(slug, table))
        body = await self.bodies.read(request.scope, request.receive)
        event_id, _ = await self._start(function, body, self._seed(request), None)
        return answer(200, {"id": event_id, "status": 200})

    async def invoke_v2(self, request: Request) -> Response:
        """The body is `{data, idempotency_key?}`. The same key within a day gives the run that it started first."""
        app, name, table = request.path_params["app"], request.path_params["function"], self.publisher.table
        function = named_below(f"{app}{BELOW_APP}{name}", table)
        if function is None:
            return self._unknown(unknown(name, table, app))
        sent = _object(await self.bodies.read(request.scope, request.receive))
        key, data = _idempotency_key(sent), orjson.dumps({"data": sent.get("data")})
        now = self.now()
        _, start = await self._start(function, data, self._seed(request), key)
        run = await self._first(start) if key else start.run_id
        return enveloped({"run_id": run, "queued_at": timestamp(now)}, now)

    def _unknown(self, message: str) -> Response:
        """While the function table is not read yet, no function is unknown."""
        if self.publisher.waiting_for is not None:
            return error_answer(503, f"waiting for {self.publisher.waiting_for}; send again in a moment")
        return error_answer(404, message)

    def _seed(self, request: Request) -> Seed:
        given = request.headers.get(SEED_HEADER)
        return parse_seed(given) if given else Seed(self.now(), os.urandom(10))

    async def _start(self, function: FunctionKey, body: bytes, seed: Seed, key: str | None) -> tuple[str, StartRun]:
        event = read_invocation(body, seed.id_of_invocation(), function, self.now())
        start = start_run(function, event, event_json(event), self.publisher.table.offset)
        if key:
            start = _for_key(start, key)
        await self.publisher.invocation(event, start)
        return event.internal_id, start

    async def _first(self, start: StartRun) -> RunId:
        """The run that the idempotency key has started: this one, or the one of an earlier request.

        The owner of the key's partition decides, when it takes the command, so two requests at once hear the same.
        """
        owner = run_partition(start.run_id, self.partitions)
        function, key = quote(start.function, safe=""), quote(start.dedupe_key or "", safe="")
        question = Question(owner, "GET", f"/deduplicated?partition={owner}&function={function}&event_id={key}")
        deadline = time.monotonic() + FIRST_RUN_SECONDS
        while (found := await self.forwarding.answer(question)).status_code != 200:
            if time.monotonic() > deadline:
                raise Unavailable(f"the run's owner has not taken it in yet; send it again with the same {_KEY}")
            await asyncio.sleep(PAUSE_SECONDS)
        return RunId(found.json()["run_id"])


def _for_key(start: StartRun, key: str) -> StartRun:
    """A start that happens once for each key; ids of events are apart from these keys."""
    once = f"invoke/{key}"
    return replace(start, run_id=run_id(start.function, once, start.received_at), dedupe_key=once)


def _object(body: bytes) -> dict[str, object]:
    try:
        sent = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}; send an object with data and {_KEY}") from error
    if not isinstance(sent, dict):
        raise InvalidInput(f"the body must be a JSON object with data and {_KEY}")
    return {key.lower(): value for key, value in sent.items()}


def _idempotency_key(sent: dict[str, object]) -> str | None:
    key = sent.get(_KEY, sent.get("idempotencykey"))
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        raise InvalidInput(f"{_KEY} must be text")
    if len(key) > MAX_KEY_CHARACTERS:
        raise LimitExceeded(f"{_KEY} has {len(key)} characters; at most {MAX_KEY_CHARACTERS} are allowed")
    return key
