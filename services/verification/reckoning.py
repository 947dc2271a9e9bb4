"""The outcome of runs, held against what their programs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from ..messages.ids import RunId
from ..messages.records import RunEnded, RunStarted, StepFinished
from .programs import Program, ancestors, child_key, outcome

#: Numbers of runs that events start are below this, those of runs that others invoke above.
MOST_ROOTS = 999


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


@dataclass(slots=True)
class Cancels:
    """What was cancelled from outside; runs are meant by their numbers."""

    asked: set[int] = field(default_factory=set)
    """Runs that may end as Cancelled."""
    accepted: set[int] = field(default_factory=set)
    """Those of them that must: somebody was told that they are."""
    tainted: set[int] = field(default_factory=set)
    """Runs that may be cancelled, and those that wait for the result of one."""

    def ask(self, k: int) -> None:
        self.asked.add(k)
        self.tainted.update(ancestors(k, MOST_ROOTS))


def reckon(runs: Sequence[SeenRun], sent: Sequence[int], programs: Sequence[Program], cancels: Cancels) -> list[str]:
    """What is wrong with all that came of the events 1 … n."""
    found = [*judge_roots(runs, sent), *judge_children(runs, programs, cancels)]
    for run in runs:
        found += judge(run, programs, cancels)
    return found


def judge(run: SeenRun, programs: Sequence[Program], cancels: Cancels) -> list[str]:
    """What is wrong with a run. A cancelled one has got as far as it has, all others end as their program says."""
    program = programs[run.program]
    if run.end is None:
        return [f"{run.id} of f{program.number} has not ended"]
    must, status, cut = outcome(program, programs, _gone(run, program, cancels)), run.end.status, _is_cut(run, cancels)
    found = []
    if run.k in cancels.accepted and status != "Cancelled":
        found.append(f"{run.id} was cancelled, as was said, and ended as {status}")
    elif not cut and status != must.status:
        found.append(f"{run.id} of {program} ended as {status}, not {must.status}: {run.end.output[:500]}")
    elif status == "Completed" and orjson.loads(run.end.output) != "done":
        found.append(f"{run.id} has returned {run.end.output[:200]}")
    wrong = [*_steps(run.steps, dict(must.results), cut), *_early(run.steps, program)]
    return found + [f"{run.id}: {each}" for each in wrong]


def judge_roots(runs: Iterable[SeenRun], sent: Sequence[int]) -> list[str]:
    """Each event that was sent has started one run, and nothing else has."""
    roots = sorted(run.k for run in runs if not run.started.parent_run)
    if roots == sorted(sent):
        return []
    missing = sorted(set(sent) - set(roots))
    twice = sorted({k for k in roots if roots.count(k) > 1})
    return [f"{len(roots)} runs for {len(sent)} events: none for {missing[:10]}, more than one for {twice[:10]}"]


def judge_children(runs: Sequence[SeenRun], programs: Sequence[Program], cancels: Cancels) -> list[str]:
    """Each step that invokes has started one run, and nothing else has."""
    children: dict[str, list[int]] = {run.id: [] for run in runs}
    found = []
    for run in runs:
        if run.started.parent_run:
            children.setdefault(run.started.parent_run, []).append(run.k)
    for run in runs:
        steps = [step for step in programs[run.program].steps.values() if step.kind == "invoke"]
        wanted = {child_key(run.k, step) for step in steps if step.id in run.steps}
        allowed = {child_key(run.k, step) for step in steps} if _is_cut(run, cancels) else wanted
        started = children.pop(run.id, [])
        if len(set(started)) < len(started) or not wanted <= set(started) <= allowed:
            found.append(f"{run.id} has invoked the runs {sorted(started)[:10]}, and should {sorted(wanted)[:10]}")
    return found + [f"runs {ks[:10]} were invoked by {parent}, which is none" for parent, ks in children.items()]


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


def _is_cut(run: SeenRun, cancels: Cancels) -> bool:
    """Whether a cancellation from outside may have ended it before it got to its end."""
    return run.end is not None and run.end.status == "Cancelled" and run.k in cancels.asked


def _gone(run: SeenRun, program: Program, cancels: Cancels) -> set[str]:
    """Steps whose error may come from a cancellation of the run that they have invoked."""
    if run.k not in cancels.tainted:
        return set()
    invoking = [step for step in program.steps.values() if step.kind == "invoke" and step.id in run.steps]
    return {step.id for step in invoking if run.steps[step.id].failed and child_key(run.k, step) in cancels.tainted}


def _steps(steps: Mapping[str, StepFinished], must: Mapping[str, object], cut: bool) -> list[str]:
    found = []
    for step_id, value in must.items():
        result = steps.get(step_id)
        if result is None:
            found += [] if cut else [f"step {step_id} has no result, it should have {value!r}"]
        elif not agrees(orjson.loads(result.output), value) or result.failed != (value == "error"):
            found.append(f"step {step_id} has {result.output[:200]}, it should have {value!r}")
    return found + [f"step {step_id} should not have run" for step_id in steps.keys() - must.keys()]


def _early(steps: Mapping[str, StepFinished], program: Program) -> list[str]:
    """A sleep, and a wait for what never comes, last as long as they should: by one clock, that of whoever ended it."""
    found = []
    for step in program.steps.values():
        result = steps.get(step.id)
        if result is not None and step.lasts and result.ended_at - result.started_at < 1000 * step.seconds:
            found.append(f"step {step.id} took {result.ended_at - result.started_at} ms, not {step.seconds} s")
    return found
