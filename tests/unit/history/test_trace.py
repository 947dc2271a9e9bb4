"""A run as spans."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.errors import InvalidInput
from penstock.history.trace import output_id, output_of, parse_output_id, status_of, trace

NOW = 1_700_000_000_000
RUN = "01HF7YAT00KHTH0Q4KBJ419Z3M"


def run(**other: Any) -> Any:
    fields = {"run_id": RUN, "function": "shop/pay", "status": "Completed", "received_at": NOW, "started_at": NOW + 1}
    return SimpleNamespace(**(fields | {"ended_at": NOW + 99, "output": "1"} | other))


def step(step_id: str, start: int, **other: Any) -> Any:
    fields = {"step_id": step_id, "op": "StepRun", "name": step_id.upper(), "output": '{"data":1}', "failed": False}
    times = {"attempt": 0, "started_at": NOW + start, "ended_at": NOW + start + 5, "detail": "", "source": ""}
    return SimpleNamespace(**(fields | times | other))


def attempt(of_step: str, number: int, ended: int, started: int | None = None) -> Any:
    started_at = None if started is None else NOW + started
    return SimpleNamespace(of_step=of_step, attempt=number, started_at=started_at, ended_at=NOW + ended)


def job(step_id: str, kind: str, scheduled: int, **other: Any) -> Any:
    fields = {"step_id": step_id, "kind": kind, "name": step_id, "attempt": 0, "detail": "", "scheduled_at": NOW}
    return SimpleNamespace(**(fields | {"scheduled_at": NOW + scheduled} | other))


def test_the_root_is_the_run() -> None:
    """Its output has an id once it has ended."""
    root = trace(run(), [], [], [])
    assert (root["name"], root["isRoot"], root["status"], root["duration"]) == ("pay", True, "COMPLETED", 98)
    assert parse_output_id(root["outputID"]) == (RUN, "")
    assert root["childrenSpans"] == []
    running = trace(run(status="Running", ended_at=None), [], [], [])
    assert (running["status"], running["endedAt"], running["outputID"]) == ("RUNNING", None, None)


def test_steps_in_the_order_in_which_they_began() -> None:
    """Not in which they ended: a step that was tried again began with its first attempt."""
    steps = [step("b", 20), step("a", 10), step("late", 50, attempt=2, failed=True)]
    attempts = [attempt("late", 0, 6, 5), attempt("late", 1, 30, 29)]
    spans = trace(run(), steps, attempts, [job("step", "call", 60), job("zz", "sleep", 15)])["childrenSpans"]
    assert [span["name"] for span in spans] == ["LATE", "A", "zz", "B"]
    late = spans[0]
    assert (late["status"], late["attempts"], late["duration"]) == ("FAILED", 3, 50)
    assert [span["name"] for span in late["childrenSpans"]] == ["Attempt 0", "Attempt 1"]
    assert {span["parentSpanID"] for span in late["childrenSpans"]} == {late["spanID"]}


@pytest.mark.parametrize(
    ("finished", "operation", "info"),
    [
        (step("a", 1), "RUN", {"__typename": "RunStepInfo", "type": None}),
        (
            step("a", 1, op="Sleep", output="null", detail=f'{{"until":{NOW + 6}}}'),
            "SLEEP",
            {"__typename": "SleepStepInfo", "sleepUntil": "2023-11-14T22:13:20.006Z"},
        ),
        (
            step("a", 1, op="WaitForEvent", source="EV", detail=f'{{"event":"paid","if":"x","until":{NOW}}}'),
            "WAIT_FOR_EVENT",
            {"eventName": "paid", "expression": "x", "foundEventID": "EV", "timedOut": False},
        ),
        (
            step("a", 1, op="WaitForEvent", output="null", detail='{"event":"paid"}'),
            "WAIT_FOR_EVENT",
            {"foundEventID": None, "timedOut": True, "timeout": None},
        ),
        (
            step("a", 1, op="WaitForSignal", output='{"data":{"signal":"s"}}', detail='{"signal":"s"}'),
            "WAIT_FOR_SIGNAL",
            {"signal": "s", "timedOut": False},
        ),
        (
            step("a", 1, op="InvokeFunction", detail='{"function":"shop/x","run_id":"R2"}', source="R2"),
            "INVOKE",
            {"functionID": "shop/x", "runID": "R2", "timedOut": False},
        ),
        (
            step("a", 1, op="InvokeFunction", failed=True, output='{"error":{"name":"InngestInvokeTimeoutError"}}'),
            "INVOKE",
            {"timedOut": True},
        ),
        (step("a", 1, op="AIGateway"), "AI_GATEWAY", {}),
    ],
)
def test_what_a_step_was(finished: Any, operation: str, info: dict[str, Any]) -> None:
    """Each opcode under its GraphQL name, with what it waited for."""
    (span,) = trace(run(), [finished], [], [])["childrenSpans"]
    assert span["stepOp"] == operation
    assert {key: span["stepInfo"][key] for key in info} == info


@pytest.mark.parametrize(
    ("kind", "operation", "status"),
    [
        ("call", "RUN", "RUNNING"),
        ("wait", "WAIT_FOR_EVENT", "WAITING"),
        ("signal", "WAIT_FOR_SIGNAL", "WAITING"),
        ("invoke", "INVOKE", "WAITING"),
        ("sleep", "SLEEP", "WAITING"),
        ("request", "RUN", "RUNNING"),
    ],
)
def test_what_is_pending(kind: str, operation: str, status: str) -> None:
    """A step without a result is what its job is."""
    (span,) = trace(run(status="Running", ended_at=None), [], [], [job("a", kind, 3)])["childrenSpans"]
    assert (span["stepOp"], span["status"], span["endedAt"], span["outputID"]) == (operation, status, None, None)


@pytest.mark.parametrize(
    ("text", "failed", "data", "error"),
    [
        ('{"data":{"x":1}}', False, '{"x":1}', None),
        ('{"data":1,"more":2}', False, '{"data":1,"more":2}', None),
        ("null", False, "null", None),
        ('{"error":{"name":"E","message":"m","stack":"s"}}', True, None, ("E", "m", "s")),
        ('{"name":"E","message":"m"}', True, None, ("E", "m", None)),
        ('"boom"', True, None, (None, "boom", None)),
    ],
)
def test_outputs_come_out_of_their_wrapper(text: str, failed: bool, data: str | None, error: Any) -> None:
    """Data as JSON text, or the error with its stack."""
    found = output_of(text, failed)
    assert found["data"] == data
    shown = found["error"]
    assert (None if shown is None else (shown["name"], shown["message"], shown["stack"])) == error


def test_output_ids_name_run_and_step() -> None:
    """What no span named is refused."""
    assert parse_output_id(output_id(RUN, "ab/c")) == (RUN, "ab/c")
    for text in ("", "!", "AAAA", "é"):
        with pytest.raises(InvalidInput, match="outputID must be one that a span named"):
            parse_output_id(text)


def test_statuses_in_capitals() -> None:
    """GraphQL has no word for an end that was not seen; the run is over all the same."""
    assert [status_of(name) for name in ("Running", "Failed", "Skipped", "Unknown")] == [
        "RUNNING",
        "FAILED",
        "SKIPPED",
        "CANCELLED",
    ]
