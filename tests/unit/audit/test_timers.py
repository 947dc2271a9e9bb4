"""Whatever has a due time in a local store has a timer there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock.audit.timers import TimersAudit, without_own
from penstock.executor.timers import timer_key
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, JobId, RunId, StepId
from penstock.messages.records import EventDeduplicated, JobScheduled, Record, RunEnded, RunStarted

CODEC = Codec()
T0 = 1_700_000_000_000
RUN = RunId("01J00000000000000000000000")
JOB = keys.job_key(RUN, JobId("sleep/s"))
SLEEP = JobScheduled(RUN, JobId("sleep/s"), "sleep", StepId("s"), T0, T0 - 9)
CALL = JobScheduled(RUN, JobId("sleep/s"), "call", StepId("s"), T0, T0)
FN = FunctionKey("a/f")
MARK = EventDeduplicated(FN, "e", RUN, T0)
ENDED = RunEnded(RUN, "Completed", "1", T0, T0 + 9)
Pair = tuple[bytes, bytes]


def rules(stored: Sequence[Pair]) -> list[str]:
    audit = TimersAudit(1, CODEC)
    assert list(audit.passed(sorted(stored))) == list(without_own(sorted(stored)))
    return [finding.rule for finding in audit.findings.kept]


def timer(due_at: int, key: bytes) -> Pair:
    return timer_key(due_at, key), b""


@pytest.mark.parametrize(
    ("key", "record", "due_at"),
    [
        (JOB, SLEEP, T0),
        (JOB, CALL, 0),
        (keys.dedupe_key(FN, "e"), MARK, T0),
        (keys.end_key(RUN), ENDED, T0 + 9),
    ],
)
def test_what_is_due_and_has_no_timer_is_found(key: bytes, record: Record, due_at: int) -> None:
    """A timer of another time is none; a call under way stands under 0."""
    pair = (key, CODEC.encode(record))
    assert rules([pair, timer(due_at, key)]) == []
    assert rules([pair]) == rules([pair, timer(due_at + 1, key)]) == ["every timer is set"]


def test_a_timer_that_points_to_nothing_is_no_harm() -> None:
    """Whoever takes it finds that, and removes it; and what cannot be read has no due time."""
    started = RunStarted(RUN, FN, 1, ("{}",), ("e",), 5, T0, T0)
    assert rules([timer(T0, JOB), (keys.run_key(RUN), CODEC.encode(started)), (JOB, b"junk")]) == []
