"""What others ask the owner of a run: its memory, its events, its end. Answered from the owner alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import orjson
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import InvalidReply, LimitExceeded
from ..keys import SigningKeys
from ..messages.ids import FunctionKey, JobId, RunId, is_ulid, run_partition, signal_partition
from ..messages.records import SignalClaimed
from ..runs.checkpoints import HINTS, RESULTS
from ..runs.facts import CancelRequested, Fact, StepsCheckpointed
from ..runs.replies import parse_ops
from ..runs.run import Run
from ..web import read_body
from .arrivals import RunFact, SignalSent
from .ownership import Ownership
from .partition import PartitionOwner
from .signals import was_taken

COMMIT_TIMEOUT_SECONDS = 10.0
#: Between two looks whether a run has come to a signal, which is there within milliseconds as a rule.
SIGNAL_LOOK_SECONDS = 0.01
#: More than ingest passes on by default: its own bound is the one that SDKs are told of.
MAX_BODY_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class _Checkpoint(msgspec.Struct):
    qi_id: str
    steps: msgspec.Raw
    #: Empty when the SDK does not say it: Go's names the job alone.
    request_id: str = ""


class _Signal(msgspec.Struct):
    signal: str
    data: msgspec.Raw = msgspec.Raw(b"null")


#: What is no JSON, no text, or nested deeper than a reader goes.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode_checkpoint = msgspec.json.Decoder(_Checkpoint).decode
_decode_signal = msgspec.json.Decoder(_Signal).decode


class Dispatches(Protocol):
    """Which calls are in flight."""

    def dispatch_of(self, owner: PartitionOwner, run_id: RunId, job_id: JobId) -> str | None:
        """The id of the request that calls the app for this job right now, or None."""


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json(status, orjson.dumps({"error": message, "data": None, "status": status}))


def _unread(error: LimitExceeded | ClientDisconnect) -> Response:
    """Nobody reads the second of these answers: the connection is closed."""
    return _error(413, str(error)) if isinstance(error, LimitExceeded) else _error(400, "the body is not complete")


def owner_app(api: OwnerApi, keys: SigningKeys) -> ASGIApp:
    """The routes, for other processes of this installation only: they show the signing key."""
    return Starlette(routes=api.routes(), middleware=[Middleware(OwnKind, keys=keys)])


class OwnKind:
    """Middleware: lets in who shows the signing key; nobody where a cloud server has none."""

    def __init__(self, app: ASGIApp, keys: SigningKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._keys.accept(Headers(scope=scope).get("authorization")):
            await self._app(scope, receive, send)
            return
        message = "this is for this installation's own servers: send its signing key as Authorization: Bearer <key>"
        await _error(401, message)(scope, receive, send)


@dataclass(frozen=True, slots=True)
class OwnerApi:
    """Routes for runs whose partition this process owns; 421 says that it does not."""

    ownership: Ownership
    calls: Dispatches
    partitions: int

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/runs/{run_id}/actions", self.actions, methods=["GET"]),
            Route("/runs/{run_id}/batch", self.batch, methods=["GET"]),
            Route("/runs/{run_id}/cancel", self.cancel, methods=["POST"]),
            Route("/runs/{run_id}/checkpoint", self.checkpoint, methods=["POST"]),
            Route("/signals", self.signal, methods=["POST"]),
            Route("/runs/{run_id}/signal", self.signal_taken, methods=["GET"]),
            Route("/deduplicated", self.deduplicated, methods=["GET"]),
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
        try:
            after = await _applied(owner, run_id, CancelRequested("cancelled by API"))
        except TimeoutError:
            return _error(503, "the cancellation could not be committed in time; ask again")
        status = after.ended.status if after is not None and after.ended is not None else "Cancelled"
        return _json(200, orjson.dumps({"status": status}))

    async def checkpoint(self, request: Request) -> Response:
        """Remember steps that a call reports while it goes on; answered when they are committed.

        409 when another dispatch has taken the place of that call, or the run has ended: the SDK gives it up.
        """
        owner = self._owner(request)
        if isinstance(owner, Response):
            return owner
        run_id = RunId(request.path_params["run_id"])
        try:
            told = _decode_checkpoint(await read_body(request, MAX_BODY_BYTES))
            ops = parse_ops(bytes(told.steps).decode())
        except (LimitExceeded, ClientDisconnect) as error:
            return _unread(error)
        except (*_UNREADABLE, InvalidReply) as error:
            return _error(400, f"not a checkpoint: {error}")
        odd = next((op.op for op in ops if op.op not in RESULTS | HINTS), None)
        if odd is not None:
            return _error(400, f"a checkpoint cannot carry {odd[:100]!r}; answer the call with it instead")
        job_id = JobId(told.qi_id)
        run = owner.load(run_id)
        job = None if run is None or run.ended is not None else run.jobs.get(job_id)
        dispatch = self.calls.dispatch_of(owner, run_id, job_id)
        if job is None or dispatch is None or told.request_id not in ("", dispatch):
            return _error(409, "stale dispatch: this call is not the one that the run waits for (any more)")
        try:
            after = await _applied(owner, run_id, StepsCheckpointed(job_id, job.attempt, ops))
        except TimeoutError:
            return _error(503, "the checkpoint could not be committed in time; send it again")
        saved = after is not None and all(op.id in after.steps for op in ops if op.op in RESULTS)
        if not saved:
            return _error(409, "stale dispatch: the run has gone on without this call")
        return _json(200, b"{}")

    async def signal(self, request: Request) -> Response:
        """Hand a signal to the run that waits for it; answered when that is committed. 404 when nobody waits.

        Whether the run takes it is decided by the run's owner: see `signal_taken`.
        """
        try:
            sent = _decode_signal(await read_body(request, MAX_BODY_BYTES))
            data = bytes(sent.data).decode()
        except (LimitExceeded, ClientDisconnect) as error:
            return _unread(error)
        except _UNREADABLE as error:
            return _error(400, f"not a signal: {error}")
        owner = self.ownership.owner(signal_partition(sent.signal, self.partitions))
        if owner is None:
            return _error(421, "this executor does not own the signal's partition")
        handed: asyncio.Future[SignalClaimed | None] = asyncio.get_running_loop().create_future()
        owner.put(SignalSent(sent.signal, data, partial(_settle, handed)))
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                claim = await handed
        except TimeoutError:
            return _error(503, "the signal could not be committed in time; it may arrive nevertheless")
        if claim is None:
            return _error(404, f"no run waits for the signal {sent.signal[:200]!r}")
        return _json(200, orjson.dumps({"run_id": claim.run_id, "job_id": claim.job_id}))

    async def signal_taken(self, request: Request) -> Response:
        """Has a signal that was handed to this wait ended it? Answered when that is decided; 410 for an unknown run.

        Not, when the wait timed out, or the run ended, before the signal arrived.
        """
        owner = self._owner(request)
        if isinstance(owner, Response):
            return owner
        job_id = JobId(request.query_params.get("job_id", ""))
        for _ in range(round(COMMIT_TIMEOUT_SECONDS / SIGNAL_LOOK_SECONDS)):
            run = owner.load(RunId(request.path_params["run_id"]))
            if run is None:
                return _error(410, "the run has ended, and its state is purged")
            taken = was_taken(run, job_id)
            if taken is not None:
                return _json(200, orjson.dumps({"taken": taken}))
            if owner.closed:
                return _error(421, "this executor does not own the run's partition any more")
            await asyncio.sleep(SIGNAL_LOOK_SECONDS)
        return _error(503, "the run has not come to the signal in time; it may take it nevertheless")

    async def deduplicated(self, request: Request) -> Response:
        """Which run a function has started for an event id (or another key) within a day. 404 while it has none."""
        asked = request.query_params
        partition, function, event_id = (asked.get(key, "") for key in ("partition", "function", "event_id"))
        if not (partition.isascii() and partition.isdigit() and len(partition) < 10 and function and event_id):
            return _error(400, "partition, function and event_id are needed")
        owner = self.ownership.owner(int(partition))
        if owner is None:
            return _error(421, "this executor does not own the partition")
        run_id = owner.started_for(FunctionKey(function), event_id)
        if run_id is None:
            return _error(404, f"{function[:200]} has started no run for {event_id[:200]!r}, or not yet")
        return _json(200, orjson.dumps({"run_id": run_id}))

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


async def _applied(owner: PartitionOwner, run_id: RunId, fact: Fact) -> Run | None:
    """The run after the commit that took the fact in; `TimeoutError` when that takes too long."""
    applied: asyncio.Future[Run | None] = asyncio.get_running_loop().create_future()
    owner.put(RunFact(run_id, fact, partial(_settle, applied)))
    async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
        return await applied


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
