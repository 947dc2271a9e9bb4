"""What others ask the owner of a run: its memory, its events, its end. Answered from the owner alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..messages.ids import RunId, is_ulid, run_partition
from ..runs.facts import CancelRequested
from ..runs.run import Run
from .ownership import Ownership
from .partition import PartitionOwner, RunFact

CANCEL_TIMEOUT_SECONDS = 10.0


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json(status, orjson.dumps({"error": message, "data": None, "status": status}))


@dataclass(frozen=True, slots=True)
class OwnerApi:
    """Routes for runs whose partition this process owns; 421 says that it does not."""

    ownership: Ownership
    partitions: int

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/runs/{run_id}/actions", self.actions, methods=["GET"]),
            Route("/runs/{run_id}/batch", self.batch, methods=["GET"]),
            Route("/runs/{run_id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def actions(self, request: Request) -> Response:
        """The run's memory: an object of step results by hashed id. 410 when the run has ended or is unknown."""
        found = self._live_run(request)
        if isinstance(found, Response):
            return found
        return _json(200, orjson.dumps({s: orjson.Fragment(r.output) for s, r in found.steps.items()}))

    async def batch(self, request: Request) -> Response:
        """The run's events, an array. 410 when the run has ended or is unknown."""
        found = self._live_run(request)
        if isinstance(found, Response):
            return found
        return _json(200, orjson.dumps([orjson.Fragment(event) for event in found.started.events]))

    async def cancel(self, request: Request) -> Response:
        """End the run as Cancelled; answered when that is committed. 404 when unknown, 409 when it had ended."""
        owner = self._owner(request)
        if isinstance(owner, Response):
            return owner
        run_id = RunId(request.path_params["run_id"])
        run = owner.load(run_id)
        if run is None:
            return _error(404, f"no run {run_id}; its state may have been purged after its retention")
        if run.ended is not None:
            return _error(409, f"the run has ended already: {run.ended.status}")
        applied: asyncio.Future[Run | None] = asyncio.get_running_loop().create_future()

        def settle(after: Run | None) -> None:
            if not applied.done():
                applied.set_result(after)

        owner.put(RunFact(run_id, CancelRequested("cancelled by API"), settle))
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_SECONDS):
                after = await applied
        except TimeoutError:
            return _error(503, "the cancellation could not be committed in time; ask again")
        status = after.ended.status if after is not None and after.ended is not None else "Cancelled"
        return _json(200, orjson.dumps({"status": status}))

    def _live_run(self, request: Request) -> Run | Response:
        owner = self._owner(request)
        if isinstance(owner, Response):
            return owner
        run = owner.load(RunId(request.path_params["run_id"]))
        if run is None or run.ended is not None:
            return _error(410, "the run has ended or is unknown")
        return run

    def _owner(self, request: Request) -> PartitionOwner | Response:
        run_id = request.path_params["run_id"]
        if not is_ulid(run_id):
            return _error(400, f"not a run id (a ULID of 26 characters): {run_id[:40]!r}")
        owner = self.ownership.owner(run_partition(RunId(run_id), self.partitions))
        return owner if owner is not None else _error(421, "this executor does not own the run's partition")
