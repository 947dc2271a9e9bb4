"""Questions about a live run, and its cancellation: passed on to the owner of the run's partition, who alone knows.

The owner's answer is passed back as it is. While a partition changes hands we ask again, within a bound.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ..messages.ids import RunId, is_ulid, run_partition
from .answers import error_answer
from .auth import SigningKeys
from .owners import Owners

FIND_OWNER_SECONDS = 5.0
PAUSE_SECONDS = 0.25
NOT_THE_OWNER = 421


@dataclass(frozen=True, slots=True)
class RunApi:
    """Routes for runs that live at their owner."""

    owners: Owners
    keys: SigningKeys
    client: httpx.AsyncClient
    partitions: int

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v0/runs/{run_id}/actions", self.actions, methods=["GET"]),
            Route("/v0/runs/{run_id}/batch", self.batch, methods=["GET"]),
            Route("/v0/runs/{run_id}", self.cancel_v0, methods=["DELETE"]),
            Route("/v1/runs/{run_id}", self.cancel, methods=["DELETE"]),
        ]

    async def actions(self, request: Request) -> Response:
        """The run's memory, for SDKs that were told to fetch it."""
        return await self._ask_owner(request, "GET", "actions")

    async def batch(self, request: Request) -> Response:
        """The run's events, for SDKs that were told to fetch them."""
        return await self._ask_owner(request, "GET", "batch")

    async def cancel(self, request: Request) -> Response:
        return await self._ask_owner(request, "POST", "cancel")

    async def cancel_v0(self, request: Request) -> Response:
        """Like `cancel`; this version of the API says success without a body."""
        response = await self._ask_owner(request, "POST", "cancel")
        if response.status_code != 200:
            return response
        if response.background is not None:
            await response.background()
        return Response(status_code=204)

    async def _ask_owner(self, request: Request, method: str, what: str) -> Response:
        if not self.keys.accept(request.headers.get("authorization")):
            return error_answer(401, "the signing key is missing or unknown; send it as Authorization: Bearer <key>")
        run_id = request.path_params["run_id"]
        if not is_ulid(run_id):
            return error_answer(400, f"{run_id[:40]!r} is not a run id; one has 26 characters, as in the run's URL")
        partition = run_partition(RunId(run_id), self.partitions)
        found = await self._found(partition, method, f"/runs/{run_id}/{what}")
        if found is None:
            return error_answer(503, "no executor owns this run at the moment; ask again, or start one")
        return found

    async def _found(self, partition: int, method: str, path: str) -> Response | None:
        deadline = time.monotonic() + FIND_OWNER_SECONDS
        wrong: str | None = None
        while time.monotonic() < deadline:
            address = await self.owners.address(partition, wrong)
            response = await self._ask(method, f"http://{address}{path}") if address is not None else None
            if response is not None:
                return response
            wrong = address
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def _ask(self, method: str, url: str) -> Response | None:
        """The owner's answer, streamed on; None when nobody or the wrong one answers."""
        try:
            answer = await self.client.send(self.client.build_request(method, url), stream=True)
        except httpx.TransportError:
            return None
        if answer.status_code == NOT_THE_OWNER:
            await answer.aclose()
            return None
        return StreamingResponse(
            answer.aiter_bytes(),
            answer.status_code,
            media_type=answer.headers.get("content-type", "application/json"),
            background=BackgroundTask(answer.aclose),
        )
