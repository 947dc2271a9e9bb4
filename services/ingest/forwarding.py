"""Requests passed on to the owner of a partition of runs, who alone knows and decides.

While a partition changes hands the next owner is asked, within a bound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from ..errors import Unavailable
from .answers import error_answer
from .owners import Owners

FIND_OWNER_SECONDS = 5.0
PAUSE_SECONDS = 0.25
NOT_THE_OWNER = 421
UNKNOWN_KEY = 401
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Question:
    """A request to an owner. `repeatable`: asking twice does what asking once does."""

    partition: int
    method: str
    path: str
    content: bytes = b""
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Finds owners and asks them."""

    owners: Owners
    client: httpx.AsyncClient
    #: By which executors know that one of this installation asks.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def passed_on(self, question: Question) -> Response:
        """The owner's answer as it is, streamed; 503 when nobody owns the partition."""
        answer = await self._answer(question)
        if answer is None:
            return error_answer(503, _nobody())
        return StreamingResponse(
            answer.aiter_bytes(),
            answer.status_code,
            media_type=answer.headers.get("content-type", "application/json"),
            background=BackgroundTask(answer.aclose),
        )

    async def answer(self, question: Question) -> httpx.Response:
        """The owner's answer, read to its end. `Unavailable` when nobody owns the partition, or when a question that
        must not be repeated may or may not have been heard."""
        answer = await self._answer(question)
        if answer is None:
            raise Unavailable(_nobody())
        try:
            await answer.aread()
        except httpx.TransportError as error:
            raise Unavailable(f"the executor's answer broke off ({error!r}); ask again") from error
        finally:
            await answer.aclose()
        return answer

    async def _answer(self, question: Question) -> httpx.Response | None:
        deadline = time.monotonic() + FIND_OWNER_SECONDS
        wrong: str | None = None
        while time.monotonic() < deadline:
            address = await self.owners.address(question.partition, wrong)
            response = await self._ask(question, address) if address is not None else None
            if response is not None:
                return response
            wrong = address
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def _ask(self, question: Question, address: str) -> httpx.Response | None:
        """The answer, open; None when nobody or the wrong one answers."""
        headers = {**self.headers, **({"content-type": "application/json"} if question.content else {})}
        url = f"http://{address}{question.path}"
        request = self.client.build_request(question.method, url, content=question.content or None, headers=headers)
        try:
            answer = await self.client.send(request, stream=True)
        except httpx.TransportError as error:
            if question.repeatable or isinstance(error, _NOT_SENT):
                return None
            raise Unavailable(f"the executor gave no answer ({error!r}); it may have done what was asked") from error
        if answer.status_code == NOT_THE_OWNER:
            await answer.aclose()
            return None
        if answer.status_code == UNKNOWN_KEY:
            await answer.aclose()
            raise Unavailable("the executor does not know this server's signing key: give both PENSTOCK_SIGNING_KEY")
        return answer


def _nobody() -> str:
    return "no executor owns this partition of runs at the moment; ask again, or start one"
