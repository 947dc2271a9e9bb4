"""Questions about a live run, its cancellation, and the steps that its app reports: passed on to the run's owner."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput
from ..messages.ids import RunId, is_ulid, run_partition
from ..messages.payload import MEBIBYTE, PayloadLimits, parse_json
from .answers import error_answer
from .bodies import BodyReader
from .forwarding import Forwarding, Question

#: Results of steps may nest as deep as payloads do, within the envelope of a checkpoint.
CHECKPOINT_LIMITS = PayloadLimits(max_bytes=8 * MEBIBYTE, max_depth=210)
MAX_STEPS = 1000
_NO_CHECKPOINT = (
    "this kind of checkpoint is not kept by this server: report steps at POST /v1/checkpoint/<run id>/async, "
    "or return them with the call's response"
)


@dataclass(frozen=True, slots=True)
class RunApi:
    """Routes for runs that live at their owner."""

    forwarding: Forwarding
    bodies: BodyReader
    partitions: int

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v0/runs/{run_id}/actions", self.actions, methods=["GET"]),
            Route("/v0/runs/{run_id}/batch", self.batch, methods=["GET"]),
            Route("/v0/runs/{run_id}", self.cancel_v0, methods=["DELETE"]),
            Route("/v1/runs/{run_id}", self.cancel, methods=["DELETE"]),
            Route("/v1/checkpoint/{run_id}/async", self.checkpoint, methods=["POST"]),
            Route("/v1/checkpoint", self.no_checkpoint, methods=["POST"]),
            Route("/v1/checkpoint/{rest:path}", self.no_checkpoint, methods=["POST", "GET"]),
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

    async def checkpoint(self, request: Request) -> Response:
        """Steps that an app has finished within a call that goes on. 409 tells it to give the call up."""
        body = await self.bodies.read(request.scope, request.receive)
        _require_checkpoint(body, request.path_params["run_id"])
        return await self._ask_owner(request, "POST", "checkpoint", body)

    async def no_checkpoint(self, _request: Request) -> Response:
        """SDKs go on without when this fails: they return their steps instead."""
        return error_answer(404, _NO_CHECKPOINT)

    async def _ask_owner(self, request: Request, method: str, what: str, content: bytes = b"") -> Response:
        run_id = request.path_params["run_id"]
        if not is_ulid(run_id):
            return error_answer(400, f"{run_id[:40]!r} is not a run id; one has 26 characters, as in the run's URL")
        partition = run_partition(RunId(run_id), self.partitions)
        return await self.forwarding.passed_on(Question(partition, method, f"/runs/{run_id}/{what}", content))


def _require_checkpoint(body: bytes, run_id: str) -> None:
    """What can be said against a checkpoint without knowing the run; what its steps may be, the owner knows."""
    told = parse_json(body or b"null", "the checkpoint", CHECKPOINT_LIMITS)
    if not isinstance(told, dict):
        raise InvalidInput("a checkpoint is a JSON object with run_id, qi_id, request_id and steps")
    if told.get("run_id", run_id) != run_id:
        raise InvalidInput(f"run_id: the body names another run than the URL, {str(told['run_id'])[:40]!r}")
    # The Go SDK does not say which request it reports for.
    for key, value in (("qi_id", told.get("qi_id")), ("request_id", told.get("request_id", ""))):
        if not isinstance(value, str):
            raise InvalidInput(f"{key}: expected text; send back what the call's ctx said")
    steps = told.get("steps")
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise InvalidInput(f"steps: expected a list of at most {MAX_STEPS} steps")
