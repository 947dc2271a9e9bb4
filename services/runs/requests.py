"""The request that calls a function, as values: body, URL and headers.

Events and step results are stored as JSON text and put into the body as they are: nothing is decoded to call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus
from uuid import UUID

import orjson

from ..messages.ids import FunctionKey, JobId, RunId, StepId, function_uuid, ulid_number
from ..messages.records import JobScheduled
from .run import Run

MIB = 1024 * 1024
#: Beyond this the SDK fetches events and steps itself (`use_api`).
MAX_STATE_BYTES = 4 * MIB - 1024
MAX_BODY_BYTES = 4 * MIB
#: Characters of a header value that need no quoting.
_PLAIN = "/:._-~"


@dataclass(frozen=True, slots=True)
class CallInput:
    """Everything that an SDK is told in a call.

    `steps` holds the results of the steps in `stack` and no others; `current` counts the entries of the stack up to
    and with the step that caused the call. `events` and the values of `steps` are JSON text.
    """

    function_uuid: UUID
    run_id: RunId
    step_id: StepId
    job_id: JobId
    attempt: int
    max_attempts: int
    request_version: int
    disable_immediate_execution: bool
    stack: tuple[StepId, ...]
    current: int
    steps: Mapping[StepId, str]
    events: tuple[str, ...]
    request_id: str
    generation: int = 1


def call_input(run: Run, job: JobScheduled, function: FunctionKey, request_id: str) -> CallInput:
    """What a job's call tells the SDK, with the run's memory as it is now."""
    return CallInput(
        function_uuid=function_uuid(function),
        run_id=run.id,
        step_id=job.step_id,
        job_id=job.job_id,
        attempt=job.attempt,
        max_attempts=run.started.max_attempts,
        request_version=run.request_version,
        disable_immediate_execution=run.disable_immediate_execution,
        stack=tuple(run.steps),
        current=len(run.steps),
        steps={step: result.output for step, result in run.steps.items()},
        events=run.started.events,
        request_id=request_id,
    )


def fetches_state(sdk: str) -> bool:
    """Whether an app with this SDK can fetch a large run's state itself; Go's cannot, and takes bodies of 100 MiB."""
    return not sdk.startswith("go:")


def encode_call(call: CallInput, *, allow_use_api: bool) -> bytes:
    """The body. With `allow_use_api` a large state is left out, and the SDK told to fetch it."""
    use_api = allow_use_api and sum(map(len, call.steps.values())) > MAX_STATE_BYTES
    body = _encode(call, use_api=use_api)
    if allow_use_api and not use_api and len(body) > MAX_BODY_BYTES:
        return _encode(call, use_api=True)
    return body


def _encode(call: CallInput, *, use_api: bool) -> bytes:
    fragment = orjson.Fragment
    ctx = {
        "run_id": call.run_id,
        "env": "",
        "step_id": call.step_id,
        "attempt": call.attempt,
        "max_attempts": call.max_attempts,
        "qi_id": call.job_id,
        "job_id": call.job_id,
        "request_id": call.request_id,
        "generation_id": call.generation,
        "disable_immediate_execution": call.disable_immediate_execution,
        "use_api": use_api,
        "stack": {"stack": call.stack, "current": call.current},
        # For the TypeScript SDK this is also the offer to checkpoint.
        "fn_id": call.function_uuid,
    }
    return orjson.dumps(
        {
            "event": fragment(call.events[0]) if call.events else {},
            "events": [] if use_api else [fragment(event) for event in call.events],
            "steps": {} if use_api else {step: fragment(text) for step, text in call.steps.items()},
            "defers": {},
            "version": call.request_version or -1,
            "use_api": use_api,
            "ctx": ctx,
        }
    )


def call_url(url: str, step_id: StepId) -> str:
    """The app's URL with `stepId` set to this step; its other query parameters stay as they are."""
    address, _, query = url.partition("#")[0].partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != "stepId"]
    return f"{address}?{'&'.join([*kept, f'stepId={quote_plus(step_id)}'])}"


def call_headers(call: CallInput) -> dict[str, str]:
    """The headers, without the signature, which is made when the request is sent."""
    return {
        "content-type": "application/json",
        "x-run-id": call.run_id,
        "x-request-id": call.request_id,
        "x-inngest-job-id": quote(call.job_id, safe=_PLAIN),
        "x-inngest-generation-id": str(call.generation),
        "x-inngest-req-version": str(call.request_version or -1),
        "x-inngest-step-id": quote(call.step_id, safe=_PLAIN),
        "traceparent": traceparent(call.run_id, call.request_id),
    }


def traceparent(run: RunId, request_id: str) -> str:
    """W3C trace context: all calls of a run are one trace, each with its own span."""
    span = hashlib.blake2b(request_id.encode(), digest_size=8).hexdigest()
    return f"00-{ulid_number(run):032x}-{span}-01"
