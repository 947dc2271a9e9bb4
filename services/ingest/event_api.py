"""`POST /e/<key>`: events in. An ASGI application of its own, because every event of every sender passes here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from ..errors import InvalidInput, LimitExceeded, Overloaded, Unavailable
from ..exhaustion import end_if_out_of_memory
from ..keys import EventKeys
from .bodies import BodyReader
from .events import Seed, parse_seed, read_events
from .publish import Publisher

log = logging.getLogger(__name__)

PREFIX = "/e/"
SEED_HEADER = "x-inngest-event-id-seed"
RETRY_AFTER_SECONDS = 1
_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told: ids of the events that are kept, and why the rest is not."""

    status: int
    ids: list[str]
    error: str | None = None


class EventApi:
    """Accepts events. 200 means that all of them are on Kafka; any error names how many are."""

    def __init__(
        self, publisher: Publisher, keys: EventKeys, bodies: BodyReader, server_kind: str, now: Callable[[], int]
    ) -> None:
        self._publisher = publisher
        self._keys = keys
        self._bodies = bodies
        self._now = now
        self._headers = [
            (b"content-type", b"application/json"),
            (b"access-control-allow-origin", b"*"),
            (b"x-inngest-server-kind", server_kind.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ConnectionAbortedError:
            return
        await self._send(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        refusal = self._refusal(scope)
        if refusal is not None:
            return refusal
        try:
            headers = {name: value for name, value in scope["headers"] if name in _HEADERS}
            seed = self._seed(headers)
            body = await self._bodies.read(scope, receive)
            _require_json(headers, body)
            return await self._accept(body, seed)
        except ConnectionAbortedError:
            raise
        except Exception as error:  # every way to fail has an answer; what is unforeseen is logged
            end_if_out_of_memory(error)
            return _failure(error)

    async def _accept(self, body: bytes, seed: Seed | None) -> Answer:
        now = self._now()
        read = read_events(body, seed or Seed(now, os.urandom(10)), now)
        if read.events:
            await self._publisher.events(read.events)
        ids = [event.internal_id for event in read.events]
        return Answer(200, ids) if read.error is None else Answer(400, ids, read.error)

    def _refusal(self, scope: Scope) -> Answer | None:
        key, method = scope["path"][len(PREFIX) :], scope["method"]
        if method == "OPTIONS":
            return Answer(204, [])
        if "/" in key.strip("/"):
            return Answer(404, [], "events go to POST /e/<event key>")
        if method != "POST":
            return Answer(405, [], f"{method} is not allowed here; send events with POST /e/<event key>")
        if not self._keys.accept(key.strip("/")):
            return Answer(401, [], "the event key is missing or unknown; send to POST /e/<event key>")
        if self._publisher.waiting_for is not None:
            return Answer(503, [], f"waiting for {self._publisher.waiting_for}; send again in a moment")
        return None

    def _seed(self, headers: dict[bytes, bytes]) -> Seed | None:
        given = headers.get(SEED_HEADER.encode())
        return parse_seed(given.decode("latin-1")) if given else None

    async def _send(self, answer: Answer, send: Send) -> None:
        body = b"" if answer.status == 204 else _body(answer)
        headers = [*self._headers, (b"content-length", b"%d" % len(body))]
        if answer.status in (429, 503):
            headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
        elif answer.status in (204, 405):
            headers = [*_CORS, (b"allow", b"POST, OPTIONS"), *headers[:1], *headers[2:]]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_HEADERS = frozenset({b"content-type", b"content-encoding", SEED_HEADER.encode()})


def _require_json(headers: dict[bytes, bytes], body: bytes) -> None:
    """Forms and compressed bodies get a word of their own. What looks like JSON is JSON: curl calls all data a form."""
    if headers.get(b"content-type", b"").lower().startswith(_FORMS) and body.lstrip()[:1] not in (b"{", b"["):
        raise InvalidInput("forms are not accepted; send the event as JSON")
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise InvalidInput("compressed bodies are not accepted; send the JSON as it is")


def _failure(error: Exception) -> Answer:
    match error:
        case Overloaded():
            return Answer(429, [], str(error))
        case Unavailable():
            return Answer(503, [], str(error))
        case LimitExceeded():
            return Answer(413, [], str(error))
        case InvalidInput():
            return Answer(400, [], str(error))
        case _:
            log.error("an event request failed", exc_info=error)
            return Answer(500, [], "internal error; the server's log says more")


def _body(answer: Answer) -> bytes:
    body: dict[str, object] = {"ids": answer.ids, "status": answer.status}
    if answer.error is not None:
        body["error"] = answer.error
    return orjson.dumps(body)
