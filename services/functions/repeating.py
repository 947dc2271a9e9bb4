"""A run that happened, and the command that makes it happen again: all of it, or from one of its steps on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ..errors import InvalidInput
from ..messages.ids import FunctionKey, RunId, run_id, ulid_millis
from ..messages.records import StartRun


@dataclass(frozen=True, slots=True)
class PastStep:
    """A step that had a result, as SDKs get it handed."""

    step_id: str
    op: str
    name: str
    output: str
    failed: bool


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a repetition needs: the function, its events as SDKs see them, and the steps in the order of their end."""

    run_id: str
    function: FunctionKey
    events: tuple[str, ...]
    event_ids: tuple[str, ...]
    steps: tuple[PastStep, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """Which run, from which step (empty: from the start), and a key: the same key repeats it once."""

    past: PastRun
    from_step: str
    key: str


def repeat(wanted: Repetition, now: int, registry_offset: int) -> StartRun:
    """The command. It carries the results of the steps before `from_step`, so that these do not run again."""
    past = wanted.past
    remembered = steps_before(past, wanted.from_step) if wanted.from_step else ()
    return StartRun(
        run_id=repetition_id(past, wanted.key),
        function=past.function,
        events=past.events,
        event_ids=past.event_ids,
        received_at=now,
        registry_offset=registry_offset,
        rerun_of=past.run_id,
        memory=memory(remembered) if remembered else "",
    )


def repetition_id(past: PastRun, key: str) -> RunId:
    """The same for the same key, whenever it is asked for: so the id has the time of the first run."""
    return run_id(past.function, f"rerun/{past.run_id}/{key}", ulid_millis(past.run_id))


def steps_before(past: PastRun, step_id: str) -> tuple[PastStep, ...]:
    """The steps that ended before this one; raises `InvalidInput` when the run has no such step."""
    for position, step in enumerate(past.steps):
        if step.step_id == step_id:
            return past.steps[:position]
    known = ", ".join(f"{step.step_id} ({step.name})" for step in past.steps[:10]) or "none"
    raise InvalidInput(f"run {past.run_id} has no finished step {step_id[:100]!r}; it has {known}")


def memory(steps: tuple[PastStep, ...]) -> str:
    """The results as `StartRun.memory` lists them."""
    return orjson.dumps(
        [{"step_id": s.step_id, "op": s.op, "name": s.name, "output": s.output, "failed": s.failed} for s in steps]
    ).decode()
