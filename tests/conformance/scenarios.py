"""What every SDK's app offers and what must come of it: one table, so that all SDKs are held to the same.

A scenario is a function `<name>` triggered by the event `<app>/<name>`, whose data is `{"n": 20}`. `calls` is how
often the server called the app in all, which is exact: one call too many is work done twice, one too few is luck.
"""

from __future__ import annotations

from typing import Any

from .coordination import COORDINATION, SIGNALLING
from .scenario import Gap, Scenario

DATA = {"n": 20}
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


PYTHONS = ("python-fastapi", "python-flask", "python-streamed")

SCENARIOS = (
    Scenario("single", "one step, then the result", ("only:0",), 2, 21),
    Scenario(
        "sequential",
        "each step sees the results before it",
        ("a:0", "b:0", "c:0"),
        4,
        {"a": 21, "b": 42, "c": 40},
    ),
    Scenario("repeated", "one step id used three times is three steps", ("again:0",) * 3, 4, [0, 1, 2]),
    Scenario(
        "values",
        "any JSON value comes back from a step as it went in",
        tuple(f"value-{place}:0" for place in range(len(VALUES))),
        len(VALUES) + 1,
        VALUES,
    ),
    Scenario(
        "retried",
        "a step is retried alone, sees its attempt, and the next step starts at attempt 0",
        ("flaky:0", "flaky:1", "flaky:2", "after:0"),
        5,
        {"flaky": 2, "after": 0},
    ),
    Scenario(
        "caught",
        "a step that fails for good can be caught, and the function goes on",
        ("broken:0", "broken:1", "after:0"),
        4,
        {"caught": "it is broken", "after": "went on"},
    ),
    Scenario("uncaught", "an error not caught fails the run", ("broken:0", "broken:1"), 3, error="it is broken"),
    Scenario(
        "function-error",
        "an error outside steps is retried, then fails the run",
        (),
        2,
        error="the function is broken",
    ),
    Scenario(
        "function-recovers",
        "a function that fails outside steps keeps its steps",
        ("before:0",),
        4,
        {"attempt": 2},
    ),
    Scenario("non-retriable", "a non-retriable error is not retried", (), 1, error="never again"),
    Scenario(
        "step-non-retriable",
        "a non-retriable error in a step is not retried",
        ("broken:0",),
        2,
        error="never again",
        calls_of=dict.fromkeys(PYTHONS, 1),  # reported as the function's error
    ),
    Scenario(
        "retry-after",
        "an error that says when to retry is retried then",
        ("limited:0", "limited:1"),
        3,
        1,
        calls_of={"go-0.16-checkpointing": 2},  # goes on in the call that was retried
        gap=Gap("step:limited:0", "step:limited:1", 1.9),  # 3 s, written in whole seconds by Go
    ),
    Scenario(
        "sleep",
        "a sleep takes its time",
        ("before:0", "after:0"),
        4,
        "awake",
        gap=Gap("step:before:0", "step:after:0", 1.5),
    ),
    Scenario(
        "sleep-until",
        "a sleep ends at its time",
        ("before:0", "after:0"),
        4,
        "awake",
        gap=Gap("step:before:0", "step:after:0", 1.4),
    ),
    Scenario(
        "parallel",
        "groups of steps run side by side, and the function is called once when a group is done",
        ("a:0", "b:0", "c:0", "d:0"),
        7,
        [1, 2, 3, 4],
        calls_of={"go-0.7": 9},  # speaks version 1: one discovery after each step
    ),
    Scenario(
        "parallel-then-step",
        "after a group, a single step runs at once",
        ("a:0", "b:0", "after:0"),
        5,
        [1, 2, 3],
        calls_of={"go-0.7": 7},  # speaks version 1: plans the step after the group as well
    ),
    Scenario(
        "parallel-failure",
        "one of a group fails for good and is caught",
        ("a:0", "b:0"),
        4,
        {"caught": "b is broken"},
        calls_of={"go-0.7": 5},
    ),
    Scenario(
        "parallel-sleep",
        "a step and a sleep side by side",
        ("a:0", "after:0"),
        4,
        "awake",
        # The sleep begins with the group; on a busy machine its step runs some time later.
        gap=Gap("step:a:0", "step:after:0", 0.3),
        calls_of={"go-0.7": 6},
    ),
    Scenario(
        "race",
        "groups in race mode are looked at after each step",
        ("a:0", "b:0", "c:0", "d:0"),
        9,
        [1, 2, 3, 4],
    ),
    Scenario(
        "big-state",
        "steps may return more than one call can carry",
        tuple(f"part-{part}:0" for part in range(6)),
        7,
        {"length": 5_400_000, "last": "555"},
    ),
)

#: Only the TypeScript SDK has a race whose winner the function can use.
RACE_WINNER = Scenario(
    "race-winner",
    "the winner of a race is used while the other step still runs",
    ("fast:0", "slow:0", "after:0"),
    7,
    {"winner": "fast", "after": "went on"},
)

#: Here a call that saves its steps is broken off by a failure, and what it saved must be remembered.
FAILURE_IN_THE_MIDDLE = Scenario(
    "failure-in-the-middle",
    "steps before and after one that fails run once",
    ("a:0", "b:0", "b:1", "c:0"),
    5,
    ["a", "b", "c"],
)

#: Calls of an SDK that checkpoints, as TypeScript's does by default: steps that it saves while it runs cost none. What
#: is not here is called as often as without: errors, groups and whatever waits end a call.
CHECKPOINTED = {
    "single": 1,
    "sequential": 1,
    "repeated": 1,
    "values": 1,
    "big-state": 1,
    "retried": 4,
    "failure-in-the-middle": 3,
    "caught": 3,
    "function-recovers": 3,
    "sleep": 2,
    "sleep-until": 2,
    "parallel-then-step": 4,
    "parallel-sleep": 3,
    "parallel-all": 5,
    "invoke-timeout": 2,
    "wait-timeout": 2,
    "wait-lookback": 2,
    "wait-end": 2,
    "cancel-on-late": 3,
    "signal-timeout": 2,
}

#: In that version the error of an invoked function cannot be caught, and steps send no events.
IN_GO_0_7 = {
    "invoke",
    "invoke-nothing",
    "invoke-failure-uncaught",
    "wait-if",
    "wait-either",
    "wait-any",
    "wait-timeout",
    "wait-trigger",
    "wait-twice",
    "wait-condition",
    "cancel-on",
}
#: What an SDK does not offer; `docs/sdk-support.md` says it to users.
NOT_IN = {
    "python": {each.name for each in SIGNALLING}
    | {"wait-match", "wait-past", "fetch", "fetch-status", "fetch-failure"},
    "typescript": set(),
    # The step after one that was retried runs in the same call there, and sees its attempt.
    "go-0.16-checkpointing": {"invoke-by-id", "wait-match", "wait-past", "retried"},
    "go-0.16": {"invoke-by-id", "wait-match", "wait-past"},
    "go-0.7": {"sleep-until", "race"} | ({each.name for each in COORDINATION} - IN_GO_0_7),
}
#: An SDK that streams wraps every answer in another: enough to see each kind of answer once.
STREAMED = {
    "single",
    "values",
    "retried",
    "caught",
    "function-error",
    "non-retriable",
    "step-non-retriable",
    "retry-after",
    "parallel",
}


def scenarios_of(sdk: str) -> list[Scenario]:
    """What the SDK's app offers and is asked for."""
    more = [RACE_WINNER, FAILURE_IN_THE_MIDDLE] if sdk.startswith("typescript") else []
    without = next(names for family, names in NOT_IN.items() if sdk.startswith(family))
    offered = [scenario for scenario in (*SCENARIOS, *more, *COORDINATION) if scenario.name not in without]
    return [scenario for scenario in offered if scenario.name in STREAMED or not sdk.endswith("-streamed")]
