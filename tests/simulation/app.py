"""User code behind an SDK: answers a call from the memory that it is sent, as the SDKs of request version 2 do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from penstock.runs.replies import Reply, parse_reply

from .programs import RETRIES, Program, Step

HEADERS = {"x-inngest-sdk": "py:v0", "x-inngest-req-version": "2"}


def answer(program: Program, memory: Mapping[str, str], target: str, attempt: int, k: int, now: int) -> Reply:
    """What the app says to a discovery call (target `step`) or to the call of a planned step."""
    if target != "step":
        return _ops([_execute(program.steps[target], attempt)], now)
    for group in program.groups:
        missing = [step for step in group if step.id not in memory]
        if len(group) == 1 and missing:
            return _ops([_alone(group[0], attempt, k)], now)
        if missing:
            return _ops([_planned(program, step, k) for step in missing], now)
        if any('"error"' in memory[step.id] for step in group):
            return _said(500, {"name": "Error", "message": "a step failed"}, now, no_retry=True)
    return _said(200, "done", now)


def child_key(k: int, step: Step) -> int:
    """The number of the run that a step invokes: no other run has it."""
    program, rest = step.id[1:].split("g")
    group, place = rest.split("s")
    return k * 1000 + int(program) * 100 + int(group) * 10 + int(place)


def unreachable(now: int) -> Reply:
    """The connection broke."""
    return _said(502, "bad gateway", now)


def _alone(step: Step, attempt: int, k: int) -> dict[str, object]:
    return _execute(step, attempt) if step.kind == "run" else _asked(step, k)


def _planned(program: Program, step: Step, k: int) -> dict[str, object]:
    op = {"op": "StepPlanned", "id": step.id} if step.kind == "run" else _asked(step, k)
    if program.mode:
        op["opts"] = {**op.get("opts", {}), "parallelMode": program.mode}  # type: ignore[dict-item]
    return op


def _execute(step: Step, attempt: int) -> dict[str, object]:
    if attempt >= step.fails:
        return {"op": "StepRun", "id": step.id, "data": f"did {step.id}"}
    error = {"name": "Error", "message": f"{step.id} failed"}
    return {"op": "StepError" if attempt < RETRIES else "StepFailed", "id": step.id, "error": error}


def _asked(step: Step, k: int) -> dict[str, object]:
    match step.kind:
        case "sleep":
            return {"op": "Sleep", "id": step.id, "name": f"{step.seconds}s"}
        case "wait":
            condition = f"async.data.k == event.data.k{step.condition}"
            opts: dict[str, object] = {"if": condition, "timeout": "10d"}
            return {"op": "WaitForEvent", "id": step.id, "name": f"answer/{step.id}", "opts": opts}
        case "signal":
            opts = {"signal": f"{step.id}/{k}", "timeout": "10d"}
            return {"op": "WaitForSignal", "id": step.id, "name": step.id, "opts": opts}
        case "invoke":
            payload = {"data": {"k": child_key(k, step)}}
            opts = {"function_id": f"app-f{step.function}", "payload": payload, "timeout": "300d"}
            return {"op": "InvokeFunction", "id": step.id, "opts": opts}
        case "run":
            raise AssertionError(step)


def _ops(ops: list[dict[str, object]], now: int) -> Reply:
    return _said(206, ops, now)


def _said(status: int, body: object, now: int, *, no_retry: bool = False) -> Reply:
    headers = {**HEADERS, "x-inngest-no-retry": "true"} if no_retry else HEADERS
    return parse_reply(status, headers, json.dumps(body).encode(), now)
