"""The scenarios with plain functions of the Python SDK, served by Flask."""

from __future__ import annotations

import datetime
from typing import Any

import flask
import inngest
import inngest.flask
import werkzeug.serving

from . import sync_coordination  # noqa: F401  its functions register themselves
from .settings import PORT
from .sync_functions import client, fail, functions, journal, scenario, step

VALUES: list[Any] = [
    None,
    "",
    0,
    False,
    [],
    {},
    "žluťoučký 💡\u2028",
    1.5,
    2**53 - 1,
    {"data": 1},
    {"error": "no"},
]


@scenario("single")
def _single(ctx: inngest.ContextSync) -> Any:
    return step(ctx, "only", lambda: int(str(ctx.event.data["n"])) + 1)


@scenario("no-step")
def _no_step(ctx: inngest.ContextSync) -> Any:
    return {"name": ctx.event.name, "id": ctx.event.id, "data": ctx.event.data, "events": len(ctx.events)}


@scenario("sequential")
def _sequential(ctx: inngest.ContextSync) -> Any:
    a = step(ctx, "a", lambda: int(str(ctx.event.data["n"])) + 1)
    b = step(ctx, "b", lambda: a * 2)
    c = step(ctx, "c", lambda: b - 2)
    return {"a": a, "b": b, "c": c}


@scenario("repeated")
def _repeated(ctx: inngest.ContextSync) -> Any:
    return [step(ctx, "again", lambda index=index: index) for index in range(3)]


@scenario("values")
def _values(ctx: inngest.ContextSync) -> Any:
    return [step(ctx, f"value-{place}", lambda value=value: value) for place, value in enumerate(VALUES)]


@scenario("retried", retries=3)
def _retried(ctx: inngest.ContextSync) -> Any:
    flaky = step(ctx, "flaky", lambda: ctx.attempt if ctx.attempt == 2 else fail(ValueError("not yet")))
    after = step(ctx, "after", lambda: ctx.attempt)
    return {"flaky": flaky, "after": after}


@scenario("caught", retries=1)
def _caught(ctx: inngest.ContextSync) -> Any:
    try:
        step(ctx, "broken", lambda: fail(ValueError("it is broken")))
    except inngest.StepError as error:
        return {"caught": error.message, "after": step(ctx, "after", lambda: "went on")}


@scenario("uncaught", retries=1)
def _uncaught(ctx: inngest.ContextSync) -> Any:
    step(ctx, "broken", lambda: fail(ValueError("it is broken")))


@scenario("function-error", retries=1)
def _function_error(ctx: inngest.ContextSync) -> Any:
    raise ValueError("the function is broken")


@scenario("function-recovers", retries=2)
def _function_recovers(ctx: inngest.ContextSync) -> Any:
    step(ctx, "before", lambda: 1)
    if ctx.attempt < 2:
        raise ValueError("not yet")
    return {"attempt": ctx.attempt}


@scenario("non-retriable", retries=3)
def _non_retriable(ctx: inngest.ContextSync) -> Any:
    raise inngest.NonRetriableError("never again")


@scenario("step-non-retriable", retries=3)
def _step_non_retriable(ctx: inngest.ContextSync) -> Any:
    step(ctx, "broken", lambda: fail(inngest.NonRetriableError("never again")))


@scenario("retry-after", retries=1)
def _retry_after(ctx: inngest.ContextSync) -> Any:
    def limited() -> int:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("too fast", 3000)
        return ctx.attempt

    return step(ctx, "limited", limited)


@scenario("sleep")
def _sleep(ctx: inngest.ContextSync) -> Any:
    step(ctx, "before", lambda: 1)
    ctx.step.sleep("nap", datetime.timedelta(seconds=1.5))
    return step(ctx, "after", lambda: "awake")


@scenario("sleep-until")
def _sleep_until(ctx: inngest.ContextSync) -> Any:
    until = step(ctx, "before", lambda: (_now() + datetime.timedelta(seconds=1.5)).isoformat())
    ctx.step.sleep_until("nap", datetime.datetime.fromisoformat(until))
    return step(ctx, "after", lambda: "awake")


@scenario("parallel")
def _parallel(ctx: inngest.ContextSync) -> Any:
    first = ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2)))
    second = ctx.group.parallel((lambda: step(ctx, "c", lambda: 3), lambda: step(ctx, "d", lambda: 4)))
    return [*first, *second]


@scenario("parallel-then-step")
def _parallel_then_step(ctx: inngest.ContextSync) -> Any:
    both = ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2)))
    return [*both, step(ctx, "after", lambda: 3)]


@scenario("parallel-failure")
def _parallel_failure(ctx: inngest.ContextSync) -> Any:
    try:
        ctx.group.parallel(
            (
                lambda: step(ctx, "a", lambda: 1),
                lambda: step(ctx, "b", lambda: fail(ValueError("b is broken"))),
            )
        )
    except inngest.StepError as error:
        return {"caught": error.message}


@scenario("parallel-sleep")
def _parallel_sleep(ctx: inngest.ContextSync) -> Any:
    nap = datetime.timedelta(seconds=1.5)
    ctx.group.parallel((lambda: step(ctx, "a", lambda: 1), lambda: ctx.step.sleep("nap", nap)))
    return step(ctx, "after", lambda: "awake")


@scenario("race")
def _race(ctx: inngest.ContextSync) -> Any:
    mode = inngest.ParallelMode.RACE
    one = (lambda: step(ctx, "a", lambda: 1), lambda: step(ctx, "b", lambda: 2, hold=4))
    two = (lambda: step(ctx, "c", lambda: 3), lambda: step(ctx, "d", lambda: 4, hold=8))
    first = ctx.group.parallel(one, parallel_mode=mode)
    return [*first, *ctx.group.parallel(two, parallel_mode=mode)]


@scenario("big-state")
def _big_state(ctx: inngest.ContextSync) -> Any:
    parts = [step(ctx, f"part-{i}", lambda i=i: str(i) * 900_000) for i in range(6)]
    return {"length": sum(len(part) for part in parts), "last": parts[-1][:3]}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


app = flask.Flask(__name__)
inngest.flask.serve(app, client, functions)


@app.get("/journal/<run>")
def _journal(run: str) -> flask.Response:
    return flask.jsonify(journal.of(run))


if __name__ == "__main__":
    server = werkzeug.serving.make_server("127.0.0.1", PORT, app, threaded=True)
    print(f"listening on http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()
