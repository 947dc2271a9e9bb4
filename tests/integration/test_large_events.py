"""Events as large and as deep as they may be, through the whole pipeline."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.conftest import StartStack
from tests.stack import wait_until

from .one_call_app import OneCallApp

NAME = f"large/{uuid.uuid4().hex}"
LARGE = "x" * (2_900 * 1024)
DEEP = 190


class OnFailure(OneCallApp):
    """Is told of failures, with the event of the run that failed in them."""

    def n_of(self, event: dict[str, Any]) -> int:
        return int(event["data"]["event"]["data"]["n"])


def nested(levels: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def test_the_failure_of_a_large_or_deep_event_is_told(stack: StartStack) -> None:
    """What is told of a run's end holds its event once or twice, some levels further down: that is no dead letter."""
    running = stack(retry_interval=1)
    app, told = OneCallApp("large"), OnFailure("told")
    try:
        app.failing |= {1, 2}
        app.register(running.url, NAME)
        told.register(running.url, "inngest/function.failed")
        for data in ({"n": 1, "pad": LARGE}, {"n": 2, "deep": nested(DEEP)}):
            answer = httpx.post(f"{running.url}/e/key", json={"name": NAME, "data": data}, timeout=60)
            assert answer.status_code == 200, answer.text
        wait_until(lambda: set(told.seen) == {1, 2}, 60, lambda: f"{app.seen} {told.seen}\n{running.text()}")
    finally:
        app.stop()
        told.stop()
