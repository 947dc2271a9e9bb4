"""The run state machine under arbitrary answers, duplicates, reorderings and crashes."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.messages.ids import FunctionKey, JobId, RunId
from penstock.messages.records import JobScheduled, StartRun, StepFinished
from penstock.runs.advance import advance
from penstock.runs.facts import CallAnswered, CancelRequested, Fact, JobDue, StartRequested
from penstock.runs.replies import Reply, parse_reply
from penstock.runs.run import Entry, JobRemoved, Run, fold, restore
from penstock.runs.turn import Rules

RUN = RunId("01J00000000000000000000000")
T0 = 1_700_000_000_000
RULES = Rules(linear_retry_seconds=5.0, max_steps=12, max_state=2000)

step_ids = st.sampled_from("abcde")
ops = st.one_of(
    st.builds(lambda i, d: {"op": "StepRun", "id": i, "data": d}, step_ids, st.integers() | st.text(max_size=300)),
    st.builds(
        lambda i, m: {"op": "StepPlanned", "id": i, "opts": {"parallelMode": m}},
        step_ids,
        st.sampled_from(["", "race"]),
    ),
    st.builds(lambda i: {"op": "StepError", "id": i, "error": {"name": "E", "message": "m"}}, step_ids),
    st.builds(lambda i: {"op": "StepFailed", "id": i, "error": {"name": "E", "message": "m"}}, step_ids),
    st.builds(lambda i, n: {"op": "Sleep", "id": i, "name": n}, step_ids, st.sampled_from(["1s", "2h", "2001-01-01"])),
    st.builds(lambda o: {"op": o, "id": "x"}, st.sampled_from(["None", "RunComplete", "DiscoveryRequest", "Odd"])),
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    status = draw(st.sampled_from([206, 206, 206, 200, 500]))
    body = draw(st.lists(ops, max_size=4)) if status == 206 else {"name": "E", "message": "m"}
    headers = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": draw(st.sampled_from(["1", "2"]))}
    if draw(st.booleans()):
        headers["x-inngest-no-retry"] = draw(st.sampled_from(["true", "false"]))
    return parse_reply(status, headers, json.dumps(body).encode(), T0)


def store(entries: list[Entry]) -> tuple[list[Entry], Run | None]:
    """What a state store holds after these entries, in the order of its keys, and the run restored from it."""
    held: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        match entry:
            case JobScheduled():
                held["job", entry.job_id] = entry
            case JobRemoved():
                held.pop(("job", entry.job_id), None)
            case StepFinished():
                held["step", entry.step_id] = entry
            case _:
                held[type(entry).__name__, ""] = entry
    ordered = [held[key] for key in sorted(held)]
    started = held.get(("RunStarted", ""))
    return ordered, None if started is None else restore(started, [e for e in ordered if e is not started])  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_history(data: st.DataObject) -> None:
    """Whatever arrives: live state equals the fold and the restored state, duplicates change nothing, none is stuck."""
    start = StartRequested(StartRun(RUN, FunctionKey("app/fn"), ("{}",), ("e",), T0), 1, data.draw(st.integers(1, 3)))
    facts: list[Fact] = [start]
    entries: list[Entry] = []
    run: Run | None = None
    now = T0
    for _ in range(data.draw(st.integers(1, 14))):
        fact = facts[-1]
        result = advance(run, fact, now, RULES)
        entries += result.entries
        run = result.run
        assert run is not None
        folded: Run | None = None
        for entry in entries:
            folded = fold(folded, entry)
        assert folded == run
        assert store(entries)[1] == run
        assert list(store(entries)[1].steps) == list(run.steps)  # type: ignore[union-attr]
        for earlier in facts:
            if not isinstance(earlier, JobDue):
                # A retried call answers under another attempt, so an earlier answer can never count again.
                assert not advance(run, earlier, now, RULES).entries
        assert run.ended is not None or run.jobs, "a live run has work or a timer"
        if run.ended is not None:
            assert not run.jobs
            assert not result.effects
            break
        now += data.draw(st.sampled_from([0, 1000, 5000, 7_200_000]))
        facts.append(data.draw(_next_fact(run)))
    positions = [entry.position for entry in entries if isinstance(entry, StepFinished)]
    assert positions == list(range(len(positions)))


def _next_fact(run: Run) -> st.SearchStrategy[Fact]:
    jobs = sorted(run.jobs.values(), key=lambda job: job.job_id)
    answers = [
        st.builds(CallAnswered, st.just(job.job_id), st.just(job.attempt), replies())
        for job in jobs
        if job.kind == "call"
    ]
    due = st.builds(JobDue, st.sampled_from([job.job_id for job in jobs] + [JobId("plan/none")]))
    return st.one_of(*answers, due, *answers, st.just(CancelRequested("c")))
