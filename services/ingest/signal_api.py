"""`POST /v1/signals`: a signal, handed to the run that waits for it by the signal's owner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput, LimitExceeded, Unavailable
from ..messages.ids import RunId, run_partition, signal_partition
from ..messages.payload import PayloadLimits, parse_json
from .answers import enveloped, error_answer
from .bodies import BodyReader
from .forwarding import Forwarding, Question

MAX_SIGNAL_CHARACTERS = 1024
LIMITS = PayloadLimits()


@dataclass(frozen=True, slots=True)
class SignalApi:
    """Answers when the run has taken the signal; 404, which is no failure, when no run waits (any more)."""

    forwarding: Forwarding
    bodies: BodyReader
    partitions: int
    now: Callable[[], int]

    def routes(self) -> list[BaseRoute]:
        return [Route("/v1/signals", self.send, methods=["POST"])]

    async def send(self, request: Request) -> Response:
        signal, content = _read(await self.bodies.read(request.scope, request.receive))
        owner = signal_partition(signal, self.partitions)
        # A second attempt of one that arrived would find nobody waiting, and say that it did not.
        question = Question(owner, "POST", "/signals", content, repeatable=False)
        found = await self.forwarding.answer(question)
        if found.status_code == 404:
            return error_answer(404, f"no run waits for the signal {signal[:200]!r}; it is not kept for later")
        if found.status_code != 200:
            raise Unavailable(f"the signal's owner answered {found.status_code}: {found.text[:200]}")
        handed = found.json()
        run_id, job_id = RunId(handed["run_id"]), handed["job_id"]
        if not await self._taken(run_id, job_id):
            return error_answer(404, f"run {run_id} waited for the signal, but no longer when it came; it is not kept")
        return enveloped({"run_id": run_id}, self.now())

    async def _taken(self, run_id: RunId, job_id: str) -> bool:
        """What the run's owner says: it alone decides between the signal and the end of the wait."""
        owner = run_partition(run_id, self.partitions)
        path = f"/runs/{run_id}/signal?{urlencode({'job_id': job_id})}"
        found = await self.forwarding.answer(Question(owner, "GET", path))
        if found.status_code != 200:
            raise Unavailable(f"the signal was handed to run {run_id}, whose owner says: {found.text[:200]}")
        return bool(found.json()["taken"])


def _read(body: bytes) -> tuple[str, bytes]:
    """The signal's name, and the request to its owner."""
    if len(body) > LIMITS.max_bytes:
        raise LimitExceeded(f"the signal is larger than {LIMITS.max_bytes} bytes; send a reference to its data")
    sent = parse_json(body or b"null", "the signal", LIMITS)
    if not isinstance(sent, dict):
        raise InvalidInput('a signal is a JSON object such as {"signal": "task/done", "data": {}}')
    signal = sent.get("signal")
    if not isinstance(signal, str) or not signal:
        raise InvalidInput("signal: expected text, the name that the run waits for")
    if len(signal) > MAX_SIGNAL_CHARACTERS:
        raise LimitExceeded(f"signal: {len(signal)} characters; at most {MAX_SIGNAL_CHARACTERS} are allowed")
    return signal, orjson.dumps({"signal": signal, "data": sent.get("data")})
