"""A run as a picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from penstock.dashboard.timeline import Line, Timeline, cancellations, timeline

T = 1_790_000_000_000


def run(**fields: Any) -> Any:
    row = {"received_at": T, "started_at": T + 10, "ended_at": T + 1000, "status": "Completed"}
    return SimpleNamespace(**(row | fields))


def step(name: str, start: int, end: int, **fields: Any) -> Any:
    row = {
        "step_id": name,
        "op": "StepRun",
        "name": name,
        "output": '{"data":1}',
        "failed": False,
        "attempt": 0,
        "started_at": T + start,
        "ended_at": T + end,
        "detail": "",
        "source": "",
    }
    return SimpleNamespace(**(row | fields))


def attempt(step_id: str, number: int, start: int | None, end: int, next_at: int | None) -> Any:
    return SimpleNamespace(
        step_id=step_id,
        attempt=number,
        started_at=None if start is None else T + start,
        ended_at=T + end,
        next_at=None if next_at is None else T + next_at,
        error='{"name":"Busy","message":"again"}',
        name=step_id,
    )


def job(kind: str, scheduled: int, due: int, **fields: Any) -> Any:
    row = {
        "kind": kind,
        "step_id": "x",
        "name": "x",
        "attempt": 0,
        "scheduled_at": T + scheduled,
        "due_at": T + due,
        "last_error": None,
        "detail": "",
    }
    return SimpleNamespace(**(row | fields))


def lines(made: Timeline) -> dict[str, Line]:
    return {line.name: line for line in made.lines}


def test_one_line_for_the_run_and_each_step_in_their_order() -> None:
    """The queue before the start is told apart from the run."""
    made = timeline(run(), [step("b", 500, 900), step("a", 10, 400)], [], [], T + 5000)
    assert [line.name for line in made.lines] == ["Run", "a", "b"]
    assert [span.kind for span in made.lines[0].spans] == ["queued", "work"]
    assert made.now_at is None
    (span,) = made.lines[1].spans
    assert (span.at, span.width) == (1.0, 39.0)


def test_attempts_that_failed_are_spans_of_their_own() -> None:
    """The last attempt begins when it was due, not when the first did."""
    tried = [attempt("pay", 0, 10, 100, 300)]
    made = timeline(run(), [step("pay", 10, 700, attempt=1)], tried, [], T + 5000)
    failed, worked = lines(made)["pay"].spans
    assert (failed.kind, failed.at, failed.width) == ("failed", 1.0, 9.0)
    assert (worked.kind, worked.at) == ("work", 30.0)
    assert [a.number for a in lines(made)["pay"].attempts] == [1]


def test_a_step_that_its_discovering_call_ran_has_the_calls_failed_attempts() -> None:
    """As many as the step says, the latest before its end; the others stay the function's."""
    calls = [attempt("step", 0, None, 20, 30), attempt("step", 0, None, 100, 200), attempt("step", 1, 200, 220, 300)]
    made = lines(timeline(run(), [step("pay", 300, 400, attempt=2)], calls, [], T + 5000))
    assert [a.ended_at - T for a in made["pay"].attempts] == [100, 220]
    assert [a.ended_at - T for a in made["function"].attempts] == [20]


def test_what_a_run_waits_for_is_drawn_until_now() -> None:
    """With what it waits for, until when, and how it stands."""
    detail = f'{{"event":"shop/paid","if":"async.data.n == 1","since":{T},"until":{T + 9000}}}'
    waiting = job("wait", 100, 9000, detail=detail, name="payment")
    made = timeline(run(ended_at=None, status="Running"), [], [], [waiting], T + 2000)
    line = lines(made)["payment"]
    assert (line.state, line.due_at, line.ended_at) == ("Waiting", T + 9000, None)
    assert [(d.label, d.value) for d in line.details if d.moment is None] == [
        ("event", "shop/paid"),
        ("condition", "async.data.n == 1"),
    ]
    assert line.spans[0].kind == "wait"
    assert made.now_at == 100.0


def test_states_of_pending_work() -> None:
    """A sleep sleeps, a call that failed retries, one that is due runs."""
    now = T + 2000
    jobs = [
        job("sleep", 0, 9000, step_id="s", name="s"),
        job("call", 0, 9000, step_id="r", name="r", attempt=1, last_error='{"name":"Busy"}'),
        job("call", 0, 100, step_id="c", name="c"),
        job("invoke", 0, 9000, step_id="i", name="i", detail='{"function":"a/b","run_id":"R"}'),
    ]
    made = lines(timeline(run(ended_at=None, status="Running"), [], [], jobs, now))
    assert {name: made[name].state for name in "srci"} == {
        "s": "Sleeping",
        "r": "Retrying",
        "c": "Running",
        "i": "Waiting",
    }
    assert made["i"].linked_run == "R"
    assert made["r"].attempts[0].error == '{"name":"Busy"}'


def test_attempts_without_a_result_are_not_forgotten() -> None:
    """A function that failed before its first step has only attempts to show."""
    made = timeline(run(status="Failed"), [], [attempt("step", 0, None, 50, 100)], [], T + 5000)
    assert lines(made)["function"].state == "Failed"


def test_events_that_would_cancel_the_run_are_listed_apart() -> None:
    """They are no step."""
    jobs = [job("cancel", 0, 9000, detail=f'{{"event":"shop/gone","until":{T}}}')]
    made = timeline(run(ended_at=None, status="Running"), [], [], jobs, T + 1)
    assert len(made.lines) == 1
    assert cancellations(jobs)[0][0].value == "shop/gone"


def test_links_to_what_ended_a_wait() -> None:
    """An event for a wait, a run for an invocation."""
    steps = [
        step("w", 1, 2, op="WaitForEvent", source="EVENT"),
        step("i", 3, 4, op="InvokeFunction", source="RUN"),
        step("r", 5, 6, source="EVENT"),
    ]
    made = lines(timeline(run(), steps, [], [], T + 5000))
    assert (made["w"].linked_event, made["i"].linked_run, made["r"].linked_event) == ("EVENT", "RUN", "")
