"""When what is in a changelog is due."""

from __future__ import annotations

import pytest

from penstock.executor.timers import due_of, read_timer, timer_key
from penstock.messages.ids import FunctionKey, JobId, RunId, StepId
from penstock.messages.records import EventDeduplicated, JobKind, JobScheduled, Record, RunEnded

RUN = RunId("01HF7YAT00000000000000000A")
LEAST = -(2**63)


def job(kind: JobKind, due_at: int, scheduled_at: int) -> JobScheduled:
    return JobScheduled(RUN, JobId("j"), kind, StepId("s"), due_at, scheduled_at)


def ended(purge_at: int) -> RunEnded:
    return RunEnded(RUN, "Completed", "null", 1, purge_at)


@pytest.mark.parametrize(
    ("record", "due_at"),
    [
        (job("call", 70, 70), 0),
        (job("call", 71, 70), 71),
        (job("sleep", 70, 70), 70),
        (job("sleep", LEAST, 70), 0),
        (EventDeduplicated(FunctionKey("a/f"), "e", RUN, LEAST + 1), 0),
        (ended(-1), 0),
        (ended(9), 9),
    ],
)
def test_the_index_finds_what_is_due_when_it_is_due(record: Record, due_at: int) -> None:
    """Also what somebody wrote with a time before 1970: it would stand in the index for ever under another time."""
    assert due_of(record) == due_at
    assert read_timer(timer_key(due_at, b"key")) == (due_at, b"key")
