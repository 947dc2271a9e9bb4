"""Results that a rerun begins with: those of the steps before the one from which it runs again."""

from __future__ import annotations

import msgspec

from ..messages.ids import StepId
from .turn import Turn


class Remembered(msgspec.Struct):
    """One step of the run that is repeated, as `StartRun.memory` lists it."""

    step_id: str
    op: str
    name: str
    output: str
    failed: bool = False


_decode = msgspec.json.Decoder(list[Remembered]).decode


def read_memory(memory: str) -> list[Remembered]:
    """The steps that the text lists; `msgspec.DecodeError` when it does not."""
    return _decode(memory) if memory else []


def remember(turn: Turn, memory: str) -> None:
    """Take over the results, in their order; `commands` has checked them."""
    for step in read_memory(memory):
        turn.finish_step(StepId(step.step_id), step.op, step.name, step.output, started_at=turn.now, failed=step.failed)
