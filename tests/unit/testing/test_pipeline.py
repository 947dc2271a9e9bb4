"""The pipeline without an app: its answers are given by the test."""

from __future__ import annotations

from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.messages.ids import FunctionKey
from penstock.messages.records import Event, Function
from penstock.runs.effects import CallFunction, SendRequest
from penstock.runs.facts import CallAnswered, RequestAnswered
from penstock.runs.outcomes import Responded
from penstock.runs.replies import parse_reply
from penstock.runs.run import Run
from penstock.runs.turn import Rules
from penstock.testing.pipeline import Pipeline

T0 = 1_790_000_000_000
HOUR = 3_600_000
FN = FunctionKey("app/app-fn")


def pipeline() -> Pipeline:
    table = FunctionTable()
    config = FunctionConfig(FN, "app", "app-fn", "fn", "http://app.test", (EventTrigger("go"),))
    table.apply(Function(FN, "app", "app-fn", "fn", 1, config.to_json(), T0), 0)
    made = Pipeline(table, Rules(linear_retry_seconds=10.0), T0)
    made.functions_changed()
    return made


def event(name: str, number: int, at: int = T0, data: str = "{}") -> Event:
    internal_id = f"01K5N{number:021}"
    return Event(name=name, data=data, ts=at, internal_id=internal_id, received_at=at)


def answer(world: Pipeline, status: int, body: str) -> Run:
    """Answer the next call."""
    asked = world.asked.popleft()
    assert isinstance(asked, CallFunction)
    run = world.run(asked.run_id)
    assert run is not None
    headers = {"x-inngest-sdk": "py:v1", "x-inngest-req-version": "2"}
    reply = parse_reply(status, headers, body.encode(), world.now)
    world.tell(run.id, CallAnswered(asked.job_id, run.jobs[asked.job_id].attempt, reply))
    after = world.run(run.id)
    assert after is not None
    return after


def test_an_event_starts_a_run_that_asks_for_its_call() -> None:
    """The call is asked for once; the same event again starts nothing."""
    world = pipeline()
    world.publish(event("go", 1))
    world.publish(event("go", 1))
    world.publish(event("other", 2))
    assert len(world.asked) == len(world.run_ids) == 1
    run = answer(world, 200, '"done"')
    assert run.ended is not None
    assert (run.ended.status, run.ended.output) == ("Completed", '"done"')


def test_timers_fire_at_their_time_and_once() -> None:
    """Nothing is due before its time; a moment that was passed is not gone through again."""
    world = pipeline()
    world.publish(event("go", 1))
    answer(world, 206, '[{"op":"Sleep","id":"a","name":"1h"}]')
    assert world.next_due() == T0 + HOUR
    world.move_to(T0 + HOUR - 1)
    assert not world.asked
    world.move_to(T0 + HOUR)
    assert len(world.asked) == 1
    world.move_to(T0 + HOUR)
    assert len(world.asked) == 1


def test_a_retry_is_made_once_when_its_time_has_come() -> None:
    """Its place in the index is passed but once, also while the call is not answered."""
    world = pipeline()
    world.publish(event("go", 1))
    answer(world, 500, '{"name":"E","message":"m"}')
    world.move_to(T0 + 10_000)
    world.move_to(T0 + 20_000)
    assert len(world.asked) == 1
    assert answer(world, 200, "1").ended is not None


def test_what_is_due_already_when_it_is_scheduled() -> None:
    """The index has been read past that moment: it happens nevertheless."""
    world = pipeline()
    world.publish(event("go", 1))
    answer(world, 206, '[{"op":"Sleep","id":"a","name":"2001-01-01"}]')
    assert len(world.asked) == 1


def test_a_wait_sees_events_before_and_after_it() -> None:
    """An event since the trigger ends the wait at once; otherwise the next one does, and only one that fits."""
    wait = '[{"op":"WaitForEvent","id":"w","name":"ok","opts":{"if":"async.data.n == 1","timeout":"1d"}}]'
    early, late = pipeline(), pipeline()
    for world in (early, late):
        world.publish(event("go", 1))
    early.move_to(T0 + 5)
    early.publish(event("ok", 2, T0 + 5, '{"n":1}'))
    assert "w" in answer(early, 206, wait).steps

    run = answer(late, 206, wait)
    late.publish(event("ok", 2, T0 + 5, '{"n":2}'))
    assert not late.asked
    late.publish(event("ok", 3, T0 + 6, '{"n":1}'))
    assert "w" in late.run(run.id).steps  # type: ignore[union-attr]


def test_signals_reach_who_waits() -> None:
    """And nobody else; a second run that wants the same signal fails."""
    wait = '[{"op":"WaitForSignal","id":"s","opts":{"signal":"yes"}}]'
    world = pipeline()
    assert world.signal("yes", "1") is None
    for number in (1, 2):
        world.publish(event("go", number))
    first, second = answer(world, 206, wait), answer(world, 206, wait)
    assert second.ended is not None
    assert "SignalConflict" in second.ended.output
    assert world.signal("yes", "1") == first.id
    assert world.signal("yes", "1") is None


def test_requests_are_asked_for() -> None:
    """A fetch step is a request for whoever drives the pipeline."""
    world = pipeline()
    world.publish(event("go", 1))
    run = answer(world, 206, '[{"op":"Gateway","id":"g","opts":{"url":"https://api.example.com/"}}]')
    asked = world.asked.popleft()
    assert isinstance(asked, SendRequest)
    world.tell(run.id, RequestAnswered(asked.job_id, 0, Responded(200, {}, b"ok")))
    assert isinstance(world.asked.popleft(), CallFunction)
