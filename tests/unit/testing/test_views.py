"""What tests see of steps and waits."""

from __future__ import annotations

import pytest

from penstock.messages.ids import JobId, RunId, StepId
from penstock.messages.records import JobKind, JobScheduled, StepFinished
from penstock.testing.views import step_view, wait_view

RUN = RunId("01J00000000000000000000000")
T0 = 1_790_000_000_000


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"data":1}', (1, None)),
        ('{"error":{"name":"E","message":"m"}}', (None, {"name": "E", "message": "m"})),
        ("null", (None, None)),
        ('{"id":"e","name":"paid","data":{}}', ({"id": "e", "name": "paid", "data": {}}, None)),
        ('{"data":1,"more":2}', ({"data": 1, "more": 2}, None)),
    ],
)
def test_a_step_s_memory_as_user_code_gets_it(output: str, expected: tuple[object, object]) -> None:
    """`{data}` and `{error}` are taken apart; anything else is the result itself."""
    step = step_view(StepFinished(RUN, StepId("a"), 0, "StepRun", "a", output, T0, T0, attempt=1))
    assert (step.output, step.error) == expected
    assert step.attempts == 2


@pytest.mark.parametrize(
    ("kind", "detail", "seen"),
    [
        ("wait", '{"event":"paid","if":"true","since":1}', ("event", "paid", "true")),
        ("signal", '{"signal":"go"}', ("signal", "go", None)),
        ("invoke", '{"function":"app/app-other","run_id":"x"}', ("function", "app-other", None)),
        ("sleep", '{"until":1}', ("sleep", "", None)),
        ("request", '{"op":"Gateway","opts":{"url":"https://a.test"}}', ("request", "https://a.test", None)),
    ],
)
def test_what_a_job_waits_for(kind: JobKind, detail: str, seen: tuple[object, ...]) -> None:
    """Each kind names the thing that ends it."""
    wait = wait_view(JobScheduled(RUN, JobId("j"), kind, StepId("a"), T0 + 5, T0, "step", detail=detail))
    assert (wait.kind, wait.what, wait.condition) == seen
    assert (wait.until - wait.since).total_seconds() > 0
