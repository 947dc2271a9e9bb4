"""The run state machine under arbitrary answers, events, duplicates, reorderings and crashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.messages.ids import FunctionKey, JobId, RunId
from penstock.messages.keys import wait_key
from penstock.messages.records import (
    ClaimSignal,
    InvokedRunEnded,
    JobScheduled,
    ReleaseSignal,
    ResumeRun,
    RunStarted,
    SignalAnswer,
    SignalAnswered,
    StartRun,
    StepFinished,
    Wait,
)
from penstock.runs.advance import advance
from penstock.runs.cancels import CancelRule
from penstock.runs.details import invoked_run_of, signal_of
from penstock.runs.effects import CallFunction, Effect, Message, SendRequest, WaitOver
from penstock.runs.facts import (
    CallAnswered,
    CancelRequested,
    EventMet,
    Fact,
    InvocationEnded,
    JobDue,
    RequestAnswered,
    SignalHeard,
    StartRequested,
    StepsCheckpointed,
)
from penstock.runs.outcomes import NotSent, Responded
from penstock.runs.replies import Reply, parse_ops, parse_reply
from penstock.runs.run import Entry, JobRemoved, Run, fold, restore
from penstock.runs.turn import Rules
from tests.property.effort import examples

RUN = RunId("01J00000000000000000000000")
OTHER_RUN = RunId("01J0000000000000000000000X")
T0 = 1_700_000_000_000
RULES = Rules(linear_retry_seconds=5.0, max_steps=12, max_state=2000)
FUNCTIONS = {"app-other": FunctionKey("app/other")}

step_ids = st.sampled_from("abcde")
modes = st.sampled_from(["", "race"])
timeouts = st.sampled_from(["1s", "2h", "1d", "", "2001-01-01", "soon", "400d"])
conditions = st.sampled_from([None, "async.data.id == event.data.id", "async.data.n > 1", "event.data.id == 8", "1 +"])
results = st.builds(lambda i, d: {"op": "StepRun", "id": i, "data": d}, step_ids, st.integers() | st.text(max_size=300))


def _with_opts(op: str, **opts: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    given_opts = st.fixed_dictionaries({**opts, "parallelMode": modes})
    return st.builds(lambda i, o: {"op": op, "id": i, "opts": o}, step_ids, given_opts)


ops = st.one_of(
    results,
    _with_opts("StepPlanned"),
    st.builds(lambda i: {"op": "StepError", "id": i, "error": {"name": "E", "message": "m"}}, step_ids),
    st.builds(lambda i: {"op": "StepFailed", "id": i, "error": {"name": "E", "message": "m"}}, step_ids),
    st.builds(lambda i, n: {"op": "Sleep", "id": i, "name": n}, step_ids, st.sampled_from(["1s", "2h", "2001-01-01"])),
    _with_opts("WaitForEvent", event=st.sampled_from(["paid", "sent"]), timeout=timeouts, **{"if": conditions}),
    _with_opts("WaitForSignal", signal=st.sampled_from(["go", ""]), timeout=timeouts),
    _with_opts("InvokeFunction", function_id=st.sampled_from(["app-other", "gone"]), timeout=timeouts),
    _with_opts("Gateway", url=st.just("https://api.example.com/")),
    st.builds(lambda o: {"op": o, "id": "x"}, st.sampled_from(["None", "RunComplete", "DiscoveryRequest", "Odd"])),
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    status = draw(st.sampled_from([206, 206, 206, 206, 200, 500]))
    body = draw(st.lists(ops, max_size=4)) if status == 206 else {"name": "E", "message": "m"}
    headers = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": draw(st.sampled_from(["1", "2"]))}
    if draw(st.booleans()):
        headers["x-inngest-no-retry"] = draw(st.sampled_from(["true", "false"]))
    return parse_reply(status, headers, json.dumps(body).encode(), T0)


@st.composite
def starts(draw: st.DrawFn) -> StartRequested:
    memory = draw(st.lists(step_ids, max_size=2, unique=True))
    command = StartRun(
        RUN,
        FunctionKey("app/fn"),
        ('{"name":"up","data":{"id":7}}',),
        ("e",),
        T0,
        parent_run=draw(st.sampled_from(["", OTHER_RUN])),
        parent_job="invoke/i",
        memory=json.dumps([{"step_id": i, "op": "StepRun", "name": i, "output": '{"data":0}'} for i in memory]),
    )
    conditions = st.sampled_from([None, "async.data.id == event.data.id", "event.data.id == 8"])
    rules = draw(st.lists(st.builds(CancelRule, st.just("order/cancelled"), conditions), max_size=2))
    return StartRequested(command, 1, draw(st.integers(1, 3)), tuple(rules))


class History:
    """What has happened to one run, and what an owner has committed and sent because of it."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.entries: list[Entry] = []
        self.messages: list[Message] = []
        self.effects: Sequence[Effect] = ()
        self.run: Run | None = None

    def take(self, fact: Fact, now: int) -> Run:
        result = advance(self.run, fact, now, RULES)
        assert result.run is not None
        self.facts.append(fact)
        self.entries += result.entries
        self.messages += result.messages
        self.run, self.effects = result.run, result.effects
        return result.run


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_any_history(data: st.DataObject) -> None:
    """Whatever arrives: live state equals the fold and the restored state, duplicates change nothing, none is stuck."""
    history, now = History(), T0
    run = history.take(data.draw(starts()), now)
    for _ in range(data.draw(st.integers(1, 14))):
        _agrees_with_its_entries(history)
        _takes_nothing_twice(history, now)
        _is_not_stuck(history)
        if run.ended is not None:
            break
        now += data.draw(st.sampled_from([0, 1000, 5000, 7_200_000]))
        run = history.take(data.draw(_next_fact(run, now)), now)
    history.take(CancelRequested("the story is over"), now)
    _agrees_with_its_entries(history)
    _ends_clean(history)


def _agrees_with_its_entries(history: History) -> None:
    folded: Run | None = None
    for entry in history.entries:
        folded = fold(folded, entry)
    assert folded == history.run
    restored = _restored(history.entries)
    assert restored == history.run
    assert restored is not None
    assert list(restored.steps) == list(folded.steps if folded else ()), "the order of steps is the SDK's stack"


def _restored(entries: list[Entry]) -> Run | None:
    """The run as a state store gives it back after these entries: the last of each key, in the order of the keys."""
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
    return restore(started, [e for e in ordered if e is not started]) if isinstance(started, RunStarted) else None


def _takes_nothing_twice(history: History, now: int) -> None:
    for earlier in history.facts:
        if not isinstance(earlier, JobDue):
            # A retried call answers under another attempt, so an earlier answer can never count again.
            again = advance(history.run, earlier, now, RULES)
            assert (again.entries, again.messages) == ((), ())


def _is_not_stuck(history: History) -> None:
    run = history.run
    assert run is not None
    if run.ended is not None:
        assert not run.jobs
        assert not history.effects
        return
    assert run.work, "a live run has work or a timer"
    asked = {effect.job_id for effect in history.effects if isinstance(effect, CallFunction | SendRequest)}
    assert all(run.jobs[job].kind in ("call", "request") for job in asked), "what is asked for is work of the run"


def _ends_clean(history: History) -> None:
    """Nobody looks out for a run that has ended; no step and no job came twice."""
    steps = [entry for entry in history.entries if isinstance(entry, StepFinished)]
    assert [step.position for step in steps] == list(range(len(steps)))
    assert len({step.step_id for step in steps}) == len(steps)
    _use_no_job_id_twice(history.entries)
    messages = history.messages
    over = Counter(message.wait_key for message in messages if isinstance(message, WaitOver))
    assert all(over[wait_key(message)] == 1 for message in messages if isinstance(message, Wait))
    released = Counter((m.signal, m.job_id) for m in messages if isinstance(m, ReleaseSignal))
    assert all(released[m.signal, m.job_id] == 1 for m in messages if isinstance(m, ClaimSignal))
    told = [message for message in messages if isinstance(message, InvokedRunEnded)]
    assert len(told) == (1 if history.run and history.run.started.parent_run else 0)


def _use_no_job_id_twice(entries: list[Entry]) -> None:
    gone: set[JobId] = set()
    for entry in entries:
        if isinstance(entry, JobScheduled):
            assert entry.job_id not in gone, "a late answer could be taken for that of another job"
        elif isinstance(entry, JobRemoved):
            gone.add(entry.job_id)


def _next_fact(run: Run, now: int) -> st.SearchStrategy[Fact]:
    jobs = sorted(run.jobs.values(), key=lambda job: job.job_id)
    due = st.builds(JobDue, st.sampled_from([job.job_id for job in jobs] + [JobId("plan/none")]))
    words = [word for job in jobs for word in _word_of(job, now)]
    return st.one_of(*words, due, *words, st.just(CancelRequested("c")))


def _word_of(job: JobScheduled, now: int) -> list[st.SearchStrategy[Fact]]:
    """What the world may say to a job."""
    this = st.just(job.job_id)
    match job.kind:
        case "call":
            checkpoint = st.lists(results, max_size=3).map(lambda found: parse_ops(json.dumps(found)))
            attempts = st.sampled_from([job.attempt, max(job.attempt - 1, 0)])
            return [
                st.builds(CallAnswered, this, st.just(job.attempt), replies(), st.just(FUNCTIONS)),
                st.builds(StepsCheckpointed, this, attempts, checkpoint),
            ]
        case "wait" | "cancel":
            return [st.just(EventMet(ResumeRun(RUN, job.job_id, "ev", '{"name":"paid"}', now)))]
        case "signal":
            answers: st.SearchStrategy[SignalAnswer] = st.sampled_from(["sent", "refused", "replaced", "unknown"])
            return [answers.map(lambda a: SignalHeard(SignalAnswered(signal_of(job), RUN, job.job_id, a, "1")))]
        case "invoke":
            statuses = st.sampled_from(["Completed", "Failed", "Cancelled"])
            children = st.sampled_from([RunId(invoked_run_of(job)), OTHER_RUN])
            ended = st.builds(InvokedRunEnded, st.just(RUN), this, children, statuses, st.sampled_from(["1", "{}"]))
            return [ended.map(InvocationEnded)]
        case "request":
            outcomes = st.sampled_from([Responded(200, {}, b"ok"), NotSent("gone", True), NotSent("never", False)])
            return [st.builds(RequestAnswered, this, st.just(job.attempt), outcomes)]
        case _:
            return []
