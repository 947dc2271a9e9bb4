"""User code behind an SDK: answers a call from the memory that it is sent, as the SDKs of request version 2 do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from .programs import DAY_SECONDS, RETRIES, Program, Step, child_key

HEADERS = MappingProxyType({"x-inngest-sdk": "py:v0", "x-inngest-req-version": "2", "content-type": "application/json"})
Op = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """What a call asks: `target` is `step` (go on from here) or a planned step, `memory` the steps' results as JSON."""

    number: int
    k: int
    target: str
    attempt: int
    memory: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UserCode:
    """An app whose functions are programs."""

    app: str
    programs: Sequence[Program]

    def slug(self, number: int) -> str:
        return f"{self.app}-f{number}"

    def trigger(self, number: int) -> str:
        """Name of the event that starts a program."""
        return f"{self.app}/go/{number}"

    def answering(self, step_id: str) -> str:
        """Name of the event that a wait waits for."""
        return f"{self.app}/answer/{step_id}"

    def signal(self, step_id: str, k: int) -> str:
        return f"{self.app}/{step_id}/{k}"

    @property
    def stop(self) -> str:
        """Name of the event that cancels runs."""
        return f"{self.app}/stop"

    def due(self, call: Call) -> Sequence[Step]:
        """The steps that this call is about: those asked of it, or that come next; none when all is done."""
        program = self.programs[call.number]
        if call.target != "step":
            return [program.steps[call.target]]
        for group in program.groups:
            missing = [step for step in group if step.id not in call.memory]
            if missing:
                return missing
            if _has_failed(group, call.memory):
                return []
        return []

    def answer(self, call: Call) -> Answer:
        """What the app says."""
        program = self.programs[call.number]
        if call.target != "step":
            return _ops([_execute(program.steps[call.target], call.attempt)])
        for group in program.groups:
            missing = [step for step in group if step.id not in call.memory]
            if len(group) == 1 and missing:
                return _ops([self._alone(group[0], call)])
            if missing:
                return _ops([self._planned(program, step, call.k) for step in missing])
            if _has_failed(group, call.memory):
                return _said(500, {"name": "Error", "message": "a step failed"}, no_retry=True)
        return _said(200, "done")

    def _alone(self, step: Step, call: Call) -> Op:
        return _execute(step, call.attempt) if step.kind == "run" else self._asked(step, call.k)

    def _planned(self, program: Program, step: Step, k: int) -> Op:
        op: Op = {"op": "StepPlanned", "id": step.id} if step.kind == "run" else self._asked(step, k)
        if program.mode:
            opts = op.get("opts", {})
            assert isinstance(opts, dict)
            op["opts"] = {**opts, "parallelMode": program.mode}
        return op

    def _asked(self, step: Step, k: int) -> Op:
        match step.kind:
            case "sleep":
                return {"op": "Sleep", "id": step.id, "name": f"{step.seconds}s"}
            case "wait":
                condition = f"async.data.k == event.data.k{step.condition}"
                opts: Op = {"if": condition, "timeout": f"{step.seconds}s"}
                return {"op": "WaitForEvent", "id": step.id, "name": self.answering(step.id), "opts": opts}
            case "signal":
                opts = {"signal": self.signal(step.id, k), "timeout": f"{step.seconds}s"}
                return {"op": "WaitForSignal", "id": step.id, "name": step.id, "opts": opts}
            case "invoke":
                payload = {"data": {"k": child_key(k, step)}}
                timeout = f"{300 * DAY_SECONDS}s"
                opts = {"function_id": self.slug(step.function), "payload": payload, "timeout": timeout}
                return {"op": "InvokeFunction", "id": step.id, "opts": opts}
            case "run":
                raise AssertionError(step)


def twice(answer: Answer) -> Answer | None:
    """The same steps reported two times in one answer; None when it reports none that may be."""
    ops = orjson.loads(answer.body) if answer.status == 206 else None
    if not isinstance(ops, list) or any(op["op"] in ("StepError", "StepFailed") for op in ops):
        return None
    return Answer(answer.status, answer.headers, orjson.dumps([*ops, *ops]))


def _has_failed(group: Sequence[Step], memory: Mapping[str, str]) -> bool:
    return any('"error"' in memory[step.id] for step in group)


def _execute(step: Step, attempt: int) -> Op:
    if attempt >= step.fails:
        return {"op": "StepRun", "id": step.id, "data": f"did {step.id}"}
    error = {"name": "Error", "message": f"{step.id} failed"}
    return {"op": "StepError" if attempt < RETRIES else "StepFailed", "id": step.id, "error": error}


def _ops(ops: list[Op]) -> Answer:
    return _said(206, ops)


def _said(status: int, body: object, *, no_retry: bool = False) -> Answer:
    headers = {**HEADERS, "x-inngest-no-retry": "true"} if no_retry else HEADERS
    return Answer(status, headers, orjson.dumps(body))
