"""The outcome of runs, held against what their programs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from ..messages.ids import RunId
from ..messages.records import RunEnded, RunStarted, StepFinished
from .programs import Program, outcome


@dataclass(slots=True)
class SeenRun:
    """What the changelog has told about a run."""

    started: RunStarted
    end: RunEnded | None = None
    steps: dict[str, StepFinished] = field(default_factory=dict)

    @property
    def id(self) -> RunId:
        return self.started.run_id

    @property
    def k(self) -> int:
        """Its number, which is in its event."""
        number: int = orjson.loads(self.started.events[0])["data"]["k"]
        return number

    @property
    def program(self) -> int:
        return int(self.started.function.rsplit("-f", 1)[1])


def judge(run: SeenRun, programs: Sequence[Program], tainted: bool) -> list[str]:
    """What is wrong with a run. A tainted one may have been cancelled, or have invoked one that was."""
    program = programs[run.program]
    must = outcome(program, programs)
    if run.end is None:
        return [f"{run.id} of f{program.number} has not ended"]
    if tainted:
        fits = run.end.status in ("Cancelled", "Failed", must.status)
        return [] if fits else [f"{run.id} was to be cancelled and ended as {run.end.status}"]
    found = []
    if run.end.status != must.status:
        found.append(f"{run.id} of {program} ended as {run.end.status}, not {must.status}: {run.end.output[:500]}")
    return found + [f"{run.id}: {each}" for each in _steps(run.steps, dict(must.results))]


def judge_roots(runs: Iterable[SeenRun], sent: Sequence[int]) -> list[str]:
    """Each event that was sent has started one run, and nothing else has."""
    roots = sorted(run.k for run in runs if not run.started.parent_run)
    if roots == sorted(sent):
        return []
    missing = sorted(set(sent) - set(roots))
    twice = sorted({k for k in roots if roots.count(k) > 1})
    return [f"{len(roots)} runs for {len(sent)} events: none for {missing[:10]}, more than one for {twice[:10]}"]


def agrees(memo: object, value: object) -> bool:
    """Whether what a step is remembered by is what the model says."""
    match value:
        case "error":
            return isinstance(memo, dict) and "error" in memo
        case "answer":
            payload = memo.get("data") if isinstance(memo, dict) else None
            if not isinstance(payload, dict):
                return False
            data = payload.get("data")
            return payload.get("go") is True or (isinstance(data, dict) and data.get("go") is True)
        case "result":
            return memo == {"data": "done"}
        case None:
            return memo is None
        case _:
            return memo == {"data": value}


def _steps(steps: Mapping[str, StepFinished], must: Mapping[str, object]) -> list[str]:
    found = []
    for step_id, value in must.items():
        result = steps.get(step_id)
        if result is None:
            found.append(f"step {step_id} has no result, it should have {value!r}")
        elif not agrees(orjson.loads(result.output), value) or result.failed != (value == "error"):
            found.append(f"step {step_id} has {result.output[:200]}, it should have {value!r}")
    return found + [f"step {step_id} should not have run" for step_id in steps.keys() - must.keys()]
