"""Thousands of runs wait, their events come, and matcher and executors are killed meanwhile.

    pytest tests/integration/test_wait_storm.py    # one storm of 5,000 runs; fewer with PENSTOCK_STORM_RUNS
    make storm                                     # ten of them, with PENSTOCK_STORMS=10

No run may be left waiting and none may be resumed twice: that is read from the changelog, not from what the app saw,
which may well be called again after a kill.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest

from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .changelog_audit import Audit, audit
from .waits_app import EVENT, WaitsApp

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

RUNS = int(os.environ.get("PENSTOCK_STORM_RUNS", "5000"))
STORMS = int(os.environ.get("PENSTOCK_STORMS", "1"))
BATCH = 50
END_SECONDS = 300.0

Event = dict[str, object]


class Sender:
    """Sends events in batches, each until it is accepted; a batch that is sent again has the same internal ids."""

    def __init__(self, server: str, events: Sequence[Event], per_second: float) -> None:
        self._server = server
        self._batches = [events[at : at + BATCH] for at in range(0, len(events), BATCH)]
        self._pause = BATCH / per_second
        self._given_up = threading.Event()
        self.accepted = 0
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def wait_accepted(self, count: int, seconds: float = 120.0) -> None:
        wait_until(lambda: self.accepted >= count, seconds, lambda: f"{count} events, {self.accepted} accepted so far")

    def stop(self) -> None:
        self._given_up.set()
        self._thread.join(60)

    def _send(self) -> None:
        with httpx.Client(timeout=30) as client:
            for batch in self._batches:
                seed = f"{time.time_ns() // 1_000_000},{base64.b64encode(random.randbytes(10)).decode()}"
                while not self._accepts(client, batch, seed):
                    if self._given_up.wait(0.1):
                        return
                self.accepted += len(batch)
                if self._given_up.wait(self._pause):
                    return

    def _accepts(self, client: httpx.Client, batch: Sequence[Event], seed: str) -> bool:
        try:
            headers = {"x-inngest-event-id-seed": seed}
            return client.post(f"{self._server}/e/key", json=list(batch), headers=headers).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def app() -> Iterator[WaitsApp]:
    app = WaitsApp()
    yield app
    app.stop()


@pytest.fixture
def senders() -> Iterator[list[Sender]]:
    """Senders that are stopped in the end, whatever happens."""
    started: list[Sender] = []
    yield started
    for sender in started:
        sender.stop()


def starts() -> list[Event]:
    return [{"name": "storm/start", "id": f"start-{n}", "data": {"n": n}} for n in range(RUNS)]


def answers() -> list[Event]:
    """Two events for each run, in any order."""
    events: list[Event] = [
        {"name": EVENT, "id": f"{kind}-{n}", "data": {"n": n}} for kind in ("a", "b") for n in range(RUNS)
    ]
    random.Random(RUNS).shuffle(events)
    return events


def kill_and_wait(running: Stack, service: str) -> None:
    running.wait_restarted(service, running.kill(service))


def wait_ended(running: Stack, app: WaitsApp) -> Audit:
    """The changelog when every run has ended in it."""
    wait_until(lambda: len(app.returned) >= RUNS, END_SECONDS, lambda: f"{stuck(app)}\n{running.text()[-6000:]}")
    found: list[Audit] = []

    def all_ended() -> bool:
        found[:] = [audit(running.kafka)]
        return len(found[0].ended) >= RUNS

    wait_until(all_ended, 60, lambda: f"{RUNS} ends in the changelog, {len(found[0].ended)} so far")
    return found[0]


def stuck(app: WaitsApp) -> str:
    left = [n for n in range(RUNS) if n not in app.returned]
    return f"{len(app.returned)} of {RUNS} runs ended, {len(app.waiting)} came to wait; without end: {left[:20]}"


@pytest.mark.parametrize("storm", range(STORMS))
def test_no_run_is_left_waiting_and_none_is_resumed_twice(
    stack: StartStack, app: WaitsApp, senders: list[Sender], storm: int
) -> None:
    """Kills while runs register their waits and while their events come: each run takes its two events, once each."""
    print(f"storm {storm + 1} of {STORMS}: {RUNS} runs")
    running = stack(retry_interval=1)
    app.register(running.url)
    senders.append(Sender(running.url, starts(), per_second=400))
    senders[0].wait_accepted(RUNS // 3)
    kill_and_wait(running, "executor")
    senders[0].wait_accepted(2 * RUNS // 3)
    kill_and_wait(running, "matcher")
    second = running.start_service("executor")
    senders[0].wait_accepted(RUNS)
    wait_until(lambda: len(app.waiting) >= RUNS, END_SECONDS, lambda: f"{stuck(app)}\n{running.text()[-6000:]}")

    senders.append(Sender(running.url, answers(), per_second=400))
    senders[1].wait_accepted(RUNS // 2)
    kill_and_wait(running, "matcher")
    senders[1].wait_accepted(RUNS)
    second.send(signal.SIGKILL)
    senders[1].wait_accepted(3 * RUNS // 2)
    kill_and_wait(running, "executor")
    kill_and_wait(running, "matcher")
    senders[1].wait_accepted(2 * RUNS)

    result = wait_ended(running, app)
    assert result.problems == []
    assert len(result.started) == RUNS
    assert result.completed() == RUNS
    for run, end in result.ended.items():
        n = json.loads(result.events[run])["data"]["n"]
        assert sorted(json.loads(end.output)) == [f"a-{n}", f"b-{n}"], run
