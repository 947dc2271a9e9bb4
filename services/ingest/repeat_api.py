"""What happened, again: `POST /v1/runs/{id}/rerun` and `POST /v1/dead-letters/{id}/resend`.

What happened is asked of history, through a port: a run that has ended lives at its owner for a day only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput
from ..functions.repeating import PastRun, Repetition, repeat
from ..kafka.produce import Outgoing
from ..messages.ids import is_ulid
from ..messages.records import DeadLetter
from ..messages.topics import Topics
from .answers import answer, error_answer
from .bodies import BodyReader
from .publish import Publisher

MAX_KEY_CHARACTERS = 512
MAX_STEP_CHARACTERS = 512


class Past(Protocol):
    """What history knows. Blocks; raises `Unavailable` while the database is away."""

    def run(self, run_id: str) -> PastRun | None:
        """A run with its events and results; `InvalidInput` when these are not kept any more."""

    def dead_letter(self, letter_id: str) -> DeadLetter | None:
        """A record that could not be used, as it lay."""


@dataclass(frozen=True, slots=True)
class RepeatApi:
    """Starts runs again, and sends dead letters again. Answered when Kafka has the record."""

    publisher: Publisher
    bodies: BodyReader
    past: Past
    topics: Topics
    now: Callable[[], int]

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/runs/{run_id}/rerun", self.rerun, methods=["POST"]),
            Route("/v1/dead-letters/{letter_id}/resend", self.resend, methods=["POST"]),
        ]

    async def rerun(self, request: Request) -> Response:
        """`{from_step?, idempotency_key?}`: a new run of the function as it is now, with the old run's events.

        With a key, asking again within the same run's life names the same new run.
        """
        run_id = request.path_params["run_id"]
        if not is_ulid(run_id):
            return error_answer(400, f"{run_id[:40]!r} is not a run id; one has 26 characters, as in the run's URL")
        sent = _object(await self.bodies.read(request.scope, request.receive))
        from_step = _text(sent, "from_step", MAX_STEP_CHARACTERS)
        key = _text(sent, "idempotency_key", MAX_KEY_CHARACTERS) or os.urandom(10).hex()
        past = await asyncio.to_thread(self.past.run, run_id)
        if past is None:
            return error_answer(404, f"no run has the id {run_id}; if it is new, ask again in a moment")
        table = self.publisher.table
        if table.function(past.function) is None:
            return error_answer(409, f"{past.function} is not registered (any more): start its app, then rerun")
        start = repeat(Repetition(past, from_step, key), self.now(), table.offset)
        await self.publisher.start(start)
        return answer(201, {"data": {"run_id": start.run_id, "rerun_of": run_id}})

    async def resend(self, request: Request) -> Response:
        """`{value?}`: the record as it lay, or with this text as its value, to the topic that it came from."""
        letter_id = request.path_params["letter_id"]
        sent = _object(await self.bodies.read(request.scope, request.receive))
        letter = await asyncio.to_thread(self.past.dead_letter, letter_id) if is_ulid(letter_id) else None
        if letter is None:
            return error_answer(404, f"no dead letter has the id {letter_id[:40]!r}; GET /v1/dead-letters lists them")
        if letter.topic not in self._resendable():
            return error_answer(409, f"records of {letter.topic} are made by the system and are not sent again by hand")
        value = sent.get("value")
        if value is not None and not isinstance(value, str):
            raise InvalidInput("value must be text: the record's new value")
        record = Outgoing(
            letter.topic,
            letter.key,
            letter.value if value is None else value.encode("utf-8", "surrogatepass"),
            list(letter.headers.items()) or None,
        )
        await self.publisher.record(record)
        return answer(202, {"data": {"topic": letter.topic}})

    def _resendable(self) -> tuple[str, ...]:
        return self.topics.events, self.topics.internal_events


def _object(body: bytes) -> dict[str, object]:
    try:
        sent = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}; send an object, or nothing") from error
    if not isinstance(sent, dict):
        raise InvalidInput("the body must be a JSON object, or nothing")
    return sent


def _text(sent: dict[str, object], name: str, most: int) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise InvalidInput(f"{name} must be text of at most {most} characters")
    return value
