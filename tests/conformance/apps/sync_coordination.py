"""What a step can ask for besides running code, with plain functions: others' events, other functions, requests."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import inngest
from inngest.experimental.ai import openai

from .settings import APP, OUTSIDE
from .sync_functions import fail, function, journal, scenario, step

HOUR = datetime.timedelta(hours=1)
SECOND = datetime.timedelta(seconds=1)


def caught(step: Callable[[], Any]) -> Any:
    """What an error of the step says, where the function expects one."""
    try:
        return step()
    except inngest.StepError as error:
        return {"caught": error.message}


@scenario("child")
def _child(ctx: inngest.ContextSync) -> Any:
    return {"doubled": int(str(ctx.event.data["n"])) * 2, "by": ctx.event.name}


@scenario("child-nothing")
def _child_nothing(ctx: inngest.ContextSync) -> Any:
    return None


@scenario("child-broken")
def _child_broken(ctx: inngest.ContextSync) -> Any:
    raise ValueError("the child is broken")


@scenario("child-asleep", cancel=[inngest.Cancel(event=f"{APP}/child-asleep.stop")])
def _child_asleep(ctx: inngest.ContextSync) -> Any:
    if "parent" in ctx.event.data:
        journal.note(str(ctx.event.data["parent"]), f"child:{ctx.run_id}")
    ctx.step.sleep("hour", HOUR)


@scenario("invoke")
def _invoke(ctx: inngest.ContextSync) -> Any:
    return ctx.step.invoke("child", function=_child, data=ctx.event.data)


@scenario("invoke-by-id")
def _invoke_by_id(ctx: inngest.ContextSync) -> Any:
    return ctx.step.invoke_by_id("child", app_id=APP, function_id="child", data=ctx.event.data)


@scenario("invoke-nothing")
def _invoke_nothing(ctx: inngest.ContextSync) -> Any:
    return ctx.step.invoke("child", function=_child_nothing)


@scenario("invoke-failure")
def _invoke_failure(ctx: inngest.ContextSync) -> Any:
    return caught(lambda: ctx.step.invoke("child", function=_child_broken))


@scenario("invoke-failure-uncaught", retries=3)
def _invoke_failure_uncaught(ctx: inngest.ContextSync) -> Any:
    ctx.step.invoke("child", function=_child_broken)


@scenario("invoke-timeout")
def _invoke_timeout(ctx: inngest.ContextSync) -> Any:
    step(ctx, "before", lambda: 1)
    found = caught(lambda: ctx.step.invoke("child", function=_child_asleep, timeout=SECOND))
    return step(ctx, "after", lambda: found)


@scenario("invoke-unknown")
def _invoke_unknown(ctx: inngest.ContextSync) -> Any:
    return caught(lambda: ctx.step.invoke_by_id("child", function_id="nowhere"))


@scenario("invoke-cancelled")
def _invoke_cancelled(ctx: inngest.ContextSync) -> Any:
    return caught(lambda: ctx.step.invoke("child", function=_child_asleep, data={"parent": ctx.run_id}))


@scenario("received")
def _received(ctx: inngest.ContextSync) -> Any:
    return ctx.event.data


@scenario("send-events")
def _send_events(ctx: inngest.ContextSync) -> Any:
    events = [inngest.Event(name=f"{APP}/received", data={"number": number}) for number in range(2)]
    return ctx.step.send_event("send", events)


@scenario("parallel-all")
def _parallel_all(ctx: inngest.ContextSync) -> Any:
    results = ctx.group.parallel(
        (
            lambda: ctx.step.invoke("child", function=_child, data=ctx.event.data),
            lambda: step(ctx, "a", lambda: 1),
            lambda: step(ctx, "b", lambda: 2),
            lambda: ctx.step.send_event("send", inngest.Event(name=f"{APP}/received", data={"number": 2})),
        )
    )
    return [*results[:3], len(results[3]), step(ctx, "after", lambda: 3)]


def seen(event: inngest.Event | None) -> Any:
    return None if event is None else {"name": event.name, "id": event.id, "data": event.data}


def wait(ctx: inngest.ContextSync, name: str, condition: str | None = None, timeout: Any = HOUR) -> Any:
    """What the event brought that the run waited for."""
    return seen(ctx.step.wait_for_event(name, event=f"{APP}/{name}", if_exp=condition, timeout=timeout))


@scenario("wait-if")
def _wait_if(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-if.go", "async.data.n == event.data.n && async.data.mark != 'wrong'")


@scenario("wait-either")
def _wait_either(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-either.go", "async.data.n == event.data.n || async.data.n > 100")


@scenario("wait-any")
def _wait_any(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-any.go")


@scenario("wait-timeout")
def _wait_timeout(ctx: inngest.ContextSync) -> Any:
    step(ctx, "before", lambda: 1)
    found = wait(ctx, "wait-timeout.go", timeout=SECOND)
    return step(ctx, "after", lambda: {"found": found})


@scenario("wait-trigger")
def _wait_trigger(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-trigger", timeout=SECOND)


@scenario("wait-parallel")
def _wait_parallel(ctx: inngest.ContextSync) -> Any:
    return ctx.group.parallel(
        (
            lambda: wait(ctx, "wait-parallel.one"),
            lambda: wait(ctx, "wait-parallel.two", timeout=SECOND),
            lambda: wait(ctx, "wait-parallel.three"),
        )
    )


@scenario("wait-twice")
def _wait_twice(ctx: inngest.ContextSync) -> Any:
    first = ctx.step.wait_for_event("first", event=f"{APP}/wait-twice.go", timeout=HOUR)
    second = ctx.step.wait_for_event("second", event=f"{APP}/wait-twice.go", timeout=HOUR)
    return [seen(first), seen(second)]


@scenario("wait-lookback")
def _wait_lookback(ctx: inngest.ContextSync) -> Any:
    event = inngest.Event(id=f"{APP}-answer", name=f"{APP}/wait-lookback.go", data={"n": 20})
    ctx.step.send_event("ask", event)
    return wait(ctx, "wait-lookback.go", "async.data.n == event.data.n")


@scenario("wait-condition", retries=3)
def _wait_condition(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-condition.go", "async.data.n == == 1")


@scenario("wait-many")
def _wait_many(ctx: inngest.ContextSync) -> Any:
    return wait(ctx, "wait-many.go", "async.data.group == event.data.group")


@scenario("cancel-on", cancel=[inngest.Cancel(event=f"{APP}/cancel-on.stop", if_exp="async.data.n == event.data.n")])
def _cancel_on(ctx: inngest.ContextSync) -> Any:
    ctx.step.sleep("hour", HOUR)


@scenario("cancel-on-late", cancel=[inngest.Cancel(event=f"{APP}/cancel-on-late.stop", timeout=SECOND)])
def _cancel_on_late(ctx: inngest.ContextSync) -> Any:
    ctx.step.sleep("past the timeout", datetime.timedelta(seconds=2))
    ctx.step.send_event("stop", inngest.Event(name=f"{APP}/cancel-on-late.stop"))
    ctx.step.sleep("a while", SECOND)
    return "went on"


@scenario("infer")
def _infer(ctx: inngest.ContextSync) -> Any:
    adapter = openai.Adapter(auth_key="a-key", base_url=f"{OUTSIDE}/v1", model="a-model")
    answer = ctx.step.ai.infer("ask", adapter=adapter, body={"messages": [{"role": "user", "content": "hi"}]})
    return answer["choices"]


@scenario("infer-failure")
def _infer_failure(ctx: inngest.ContextSync) -> Any:
    adapter = openai.Adapter(auth_key="a-key", base_url=f"{OUTSIDE}/broken", model="a-model")
    try:
        ctx.step.ai.infer("ask", adapter=adapter, body={"messages": []})
    except inngest.StepError as error:
        return error.name


def _failure(ctx: inngest.ContextSync) -> Any:
    journal.note(str(ctx.event.data["run_id"]), f"failure:{ctx.run_id}")
    return ctx.event.data


@scenario("on-failure", retries=1, on_failure=_failure)
def _on_failure(ctx: inngest.ContextSync) -> Any:
    step(ctx, "broken", lambda: fail(ValueError("it is broken")))


@scenario("observed", cancel=[inngest.Cancel(event=f"{APP}/observed.stop")])
def _observed(ctx: inngest.ContextSync) -> Any:
    what = ctx.event.data["what"]
    if what == "fail":
        raise ValueError("it was asked to")
    if what == "sleep":
        ctx.step.sleep("hour", HOUR)
    return {"what": what}


def observer(ending: str) -> None:
    """A function that is told of the ends of `observed`."""
    expression = f"event.data.function_id == '{APP}-observed'"
    trigger = inngest.TriggerEvent(event=f"inngest/function.{ending}", expression=expression)

    @function(f"observer-{ending}", trigger)
    def _observer(ctx: inngest.ContextSync) -> Any:
        journal.note(str(ctx.event.data["run_id"]), f"{ending}:{ctx.run_id}")
        return ctx.event.data


for each in ("finished", "failed", "cancelled"):
    observer(each)


@scenario("wait-end")
def _wait_end(ctx: inngest.ContextSync) -> Any:
    ctx.step.send_event("start", inngest.Event(name=f"{APP}/observed", data={"what": "go", "mark": ctx.run_id}))
    ended = ctx.step.wait_for_event(
        "end",
        event="inngest/function.finished",
        if_exp=f"async.data.event.data.mark == '{ctx.run_id}'",
        timeout=HOUR,
    )
    return None if ended is None else ended.data["result"]
