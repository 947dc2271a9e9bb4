"""What every SDK can ask for besides running code, as scenarios: other functions, others' events, cancelling, requests.

`sends` are events that the test sends once the function was entered a number of times. That needs no care about when
the wait is registered: an event that comes before that is not missed.
"""

from __future__ import annotations

from .scenario import Gap, Scenario, Send

_GO_ON = Gap("step:before:0", "step:after:0", 1.0)


def _event(name: str, own_id: str, **data: object) -> dict[str, object]:
    """The event as the function returns it."""
    return {"name": f"<app>/{name}", "id": f"<app>-{own_id}", "data": data}


INVOKING = (
    Scenario(
        "invoke",
        "the result of another function is the step's",
        (),
        2,
        {"doubled": 40, "by": "inngest/function.invoked"},
    ),
    Scenario(
        "invoke-by-id",
        "a function is invoked by reference, without its code at hand",
        (),
        2,
        {"doubled": 40, "by": "inngest/function.invoked"},
    ),
    Scenario("invoke-nothing", "a function that returns nothing gives null", (), 2, None),
    Scenario(
        "invoke-failure",
        "the failure of an invoked function can be caught",
        (),
        2,
        {"caught": "the child is broken"},
    ),
    Scenario(
        "invoke-failure-uncaught",
        "the failure of an invoked function fails the run at once: it has had its retries",
        (),
        2,
        error="the child is broken",
    ),
    Scenario(
        "invoke-timeout",
        "an invoked function that takes too long is waited for no longer",
        ("before:0", "after:0"),
        4,
        {"caught": "Timed out waiting for invoked function to complete"},
        gap=_GO_ON,
    ),
    Scenario(
        "invoke-unknown",
        "a function that nobody serves is an error of the step",
        (),
        2,
        {
            "caught": "could not find function with ID: <app>-nowhere; sync the app that serves it, or correct the id",
        },
    ),
    Scenario(
        "parallel-all",
        "steps, an invoked function and a sent event side by side",
        ("a:0", "b:0", "after:0"),
        6,
        [{"doubled": 40, "by": "inngest/function.invoked"}, 1, 2, 1, 3],
    ),
)

WAITING = (
    Scenario(
        "wait-if",
        "a wait with a condition takes the event for which it holds",
        (),
        2,
        _event("wait-if.go", "right", n=20),
        sends=(
            Send("wait-if.go", {"n": 21}, "other"),
            Send("wait-if.go", {"n": 20, "mark": "wrong"}, "wrong"),
            Send("wait-if.go", {"n": 20}, "right"),
        ),
    ),
    Scenario(
        "wait-either",
        "a condition without an equality to look it up by works as well",
        (),
        2,
        _event("wait-either.go", "large", n=101),
        sends=(Send("wait-either.go", {"n": 99}, "small"), Send("wait-either.go", {"n": 101}, "large")),
    ),
    Scenario(
        "wait-match",
        "`match` compares the same place of both events",
        (),
        2,
        _event("wait-match.go", "match", n=20),
        sends=(Send("wait-match.go", {"n": 19}, "no-match"), Send("wait-match.go", {"n": 20}, "match")),
    ),
    Scenario(
        "wait-any",
        "a wait without a condition takes the next event of its name",
        (),
        2,
        _event("wait-any.go", "any"),
        sends=(Send("wait-any.go", {}, "any"),),
    ),
    Scenario(
        "wait-timeout",
        "a wait that nothing ends gives nothing, in time",
        ("before:0", "after:0"),
        4,
        {"found": None},
        gap=_GO_ON,
    ),
    Scenario("wait-past", "a timeout in the past gives nothing at once", (), 2, None),
    Scenario("wait-trigger", "the event that started the run does not end a wait for its name", (), 2, None),
    Scenario(
        "wait-parallel",
        "several waits side by side, each with its own event or none",
        (),
        2,
        [_event("wait-parallel.one", "one"), None, _event("wait-parallel.three", "three")],
        sends=(Send("wait-parallel.three", {}, "three"), Send("wait-parallel.one", {}, "one")),
    ),
    Scenario(
        "wait-twice",
        "one run waits twice for the same name: an event ends one of the waits",
        (),
        3,
        [_event("wait-twice.go", "first", n=1), _event("wait-twice.go", "second", n=2)],
        sends=(Send("wait-twice.go", {"n": 1}, "first"), Send("wait-twice.go", {"n": 2}, "second", entered=2)),
    ),
    Scenario(
        "wait-lookback",
        "the event that a step caused is not missed although the wait comes after it",
        (),
        3,
        _event("wait-lookback.go", "answer", n=20),
    ),
    Scenario(
        "wait-condition",
        "a condition that does not compile fails the run and says what is wrong with it",
        (),
        1,
        error="does not compile",
    ),
    Scenario("wait-end", "the end of another run can be waited for", (), 3, {"what": "go"}),
)

CANCELLING = (
    Scenario(
        "cancel-on",
        "an event cancels the runs that its condition names, and no others",
        (),
        1,
        cancelled=True,
        sends=(Send("cancel-on.stop", {"n": 21}, "go-on"), Send("cancel-on.stop", {"n": 20}, "stop")),
    ),
    Scenario("cancel-on-late", "after its timeout the event cancels nothing", (), 4, "went on"),
)

SIGNALLING = (
    Scenario(
        "signal-timeout",
        "a signal that nobody sends gives nothing, in time",
        ("before:0", "after:0"),
        4,
        {"found": None},
        gap=_GO_ON,
    ),
)

REQUESTING = (
    Scenario(
        "fetch",
        "the server makes a request for the step: method, headers and body are as asked",
        (),
        2,
        {"status": 200, "body": {"method": "POST", "path": "/echo?a=1", "said": "yes", "body": "hello"}},
    ),
    Scenario(
        "fetch-status",
        "any status of the answer is a result",
        (),
        2,
        {"status": 418, "kind": "teapot", "body": "short and stout"},
    ),
    Scenario("fetch-failure", "a request that reaches nobody is an error of the step", (), 2, "GatewayError"),
    Scenario(
        "infer",
        "the server asks a model, with the key as its format wants it",
        (),
        2,
        [{"message": {"role": "assistant", "content": "Bearer a-key asked a-model: hi"}}],
    ),
    Scenario("infer-failure", "a model that answers with an error fails the step", (), 2, "AIGatewayError"),
)

COORDINATION = (*INVOKING, *WAITING, *CANCELLING, *SIGNALLING, *REQUESTING)
