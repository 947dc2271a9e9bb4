"""How far back a wait sees events is a setting of the server."""

from __future__ import annotations

from typing import Any

import pytest

from ..conftest import StartStack
from .raw_app import Call, RawApp, Reply, Script, ops, ran
from .server import Server

COMES_LATE = "2s"


def asking(server: Server, answer: str) -> Script:
    """A step that causes the event which its run waits for afterwards, and only for so long."""

    def script(call: Call) -> Reply:
        if "ask" not in call.steps:
            server.send({"name": answer, "data": {"n": 1}})
            return ops(ran("ask", 1))
        if "wait" not in call.steps:
            opts = {"if": "async.data.n == 1", "timeout": COMES_LATE}
            return ops({"op": "WaitForEvent", "id": "wait", "name": answer, "opts": opts})
        return Reply(200, call.steps["wait"])

    return script


@pytest.mark.parametrize(("lookback", "found"), [("none", False), ("1m", True), ("step", True)])
def test_an_event_before_the_wait_counts_as_the_setting_says(stack: StartStack, lookback: str, found: bool) -> None:
    """`none` sees what comes after the registration alone; a duration, and by default the last step, reach further."""
    running = stack(environment={"PENSTOCK_WAIT_LOOKBACK": lookback})
    server = Server(running.url)
    app = RawApp(server)
    try:
        output: Any = server.wait_outcome(app.start(asking(server, f"{app.name}/answer"))).output
        assert (output is not None) is found, output
    finally:
        app.close()
        server.close()
