"""Real processes are killed and stopped under load; every accepted event gives one run, and each run ends once."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from penstock.audit.audit import audit as audit_topics
from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .changelog_audit import Audit, audit
from .steps_app import StepsApp

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


class Load:
    """Sends events until stopped; what is not answered with 200 is sent again, under the same event id."""

    def __init__(self, server: str, per_second: int = 60) -> None:
        self._server = server
        self._per_second = per_second
        self._stop = threading.Event()
        self.accepted = 0
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The number of events that were accepted."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the sender hangs: a request was not answered in time"
        return self.accepted

    def wait_accepted(self, count: int, seconds: float = 60.0) -> None:
        goal = self.accepted + count
        wait_until(
            lambda: self.accepted >= goal, seconds, lambda: f"{count} more accepted events, {self.accepted} so far"
        )

    def _send(self) -> None:
        with httpx.Client(timeout=30) as client:
            for n in itertools.count():
                event = {"name": "chaos/start", "id": f"event-{n}", "data": {"n": n}}
                while not self._accepts(client, event):
                    self._stop.wait(0.1)
                self.accepted = n + 1
                if self._stop.wait(1 / self._per_second):
                    return

    def _accepts(self, client: httpx.Client, event: dict[str, object]) -> bool:
        try:
            return client.post(f"{self._server}/e/key", json=event).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def app() -> Iterator[StepsApp]:
    app = StepsApp()
    yield app
    app.stop()


def started(stack: StartStack, app: StepsApp, **options: object) -> Stack:
    running = stack(retry_interval=1, **options)
    app.register(running.url)
    return running


def finish(running: Stack, app: StepsApp, load: Load, seconds: float = 60.0) -> Audit:
    """Stop the load and wait for the end of every run; then hold the world against what was sent."""
    sent = load.stop()
    wait_until(
        lambda: len(app.returned) >= sent,
        seconds,
        lambda: f"{sent} runs, {len(app.returned)} returned; missing {missing(app, sent)}\n{running.text()[-6000:]}",
    )
    found: list[Audit] = []

    def all_ended() -> bool:
        found[:] = [audit(running.kafka)]
        return len(found[0].ended) >= sent

    wait_until(all_ended, 90, lambda: f"{sent} ends in the changelog, {len(found[0].ended)} so far")
    result = found[0]
    assert result.problems == []
    assert len(result.started) == sent
    assert result.completed() == sent
    assert sorted(json.loads(event)["data"]["n"] for event in result.events.values()) == list(range(sent))
    assert list(audit_topics(running.kafka, [], lambda _: None).lines()) == []
    return result


def missing(app: StepsApp, sent: int) -> list[int]:
    return [n for n in range(sent) if n not in app.returned][:10]


def wait_in_history(running: Stack, result: Audit) -> None:
    """History shows every run as the changelog has it."""
    with httpx.Client(base_url=running.url, timeout=30) as client:

        def shown(run: str) -> bool:
            answer = client.get(f"/v1/runs/{run}")
            return answer.status_code == 200 and answer.json()["data"]["status"] == "Completed"

        waiting = set(result.ended)

        def all_shown() -> bool:
            for run in list(waiting):
                if not shown(run):
                    return False
                waiting.discard(run)
            return True

        wait_until(all_shown, 60, lambda: f"{len(waiting)} runs are missing in history\n{running.text()[-4000:]}")


@pytest.mark.parametrize("service", ["matcher", "executor", "history", "ingest"])
def test_kill_9_under_load(stack: StartStack, app: StepsApp, service: str) -> None:
    """Each service is killed twice while events arrive; nothing is lost, no result is counted twice."""
    running = started(stack, app)
    load = Load(running.url)
    for _ in range(2):
        load.wait_accepted(60)
        pid = running.kill(service)
        running.wait_restarted(service, pid)
    load.wait_accepted(60)
    wait_in_history(running, finish(running, app, load))


def test_kill_9_of_the_broker_under_load(stack: StartStack, app: StepsApp) -> None:
    """The broker dies and comes back; senders saw errors at worst, and everything accepted is done."""
    running = started(stack, app, bootstrap_servers=None)
    load = Load(running.url)
    load.wait_accepted(60)
    pid = running.kill("broker")
    running.wait_restarted("broker", pid)
    load.wait_accepted(60)
    wait_in_history(running, finish(running, app, load, 90))


def test_a_second_executor_joins_and_leaves(stack: StartStack, app: StepsApp) -> None:
    """Partitions move to a second executor and back, by a planned stop and by a kill."""
    running = started(stack, app)
    load = Load(running.url)
    load.wait_accepted(30)
    second = running.start_service("executor")
    load.wait_accepted(120)
    second.stop(30)
    load.wait_accepted(60)
    third = running.start_service("executor")
    load.wait_accepted(60)
    third.send(signal.SIGKILL)
    load.wait_accepted(60)
    finish(running, app, load)


def test_a_stopped_owner_cannot_write_when_it_wakes_up(stack: StartStack, app: StepsApp) -> None:
    """SIGSTOP for longer than the session: its partitions go on elsewhere, and what it writes afterwards is refused."""
    running = started(stack, app)
    second = running.start_service("executor")
    load = Load(running.url)
    load.wait_accepted(120)
    stopped_at = time.monotonic()
    stopped = running.kill("executor", signal.SIGSTOP)
    before = len(app.returned)
    # Half of the runs belong to the stopped owner: more than those of the other can only end if they were taken over.
    wait_until(
        lambda: time.monotonic() - stopped_at > 9 and len(app.returned) - before > 300,
        60,
        lambda: f"take-over of a stopped owner's runs: {len(app.returned) - before} returned\n{running.text()[-4000:]}",
    )
    running.kill("executor", signal.SIGCONT)
    load.wait_accepted(120)
    finish(running, app, load)
    assert second.exit_code() is None
    assert running.pids()["executor"] == stopped, "the woken executor goes on as a member, it does not crash"
    assert running.restarts("executor") == 0
