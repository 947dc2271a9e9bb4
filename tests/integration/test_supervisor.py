"""Supervised processes: readiness, restarts, giving up, stopping. Small shell scripts stand for services."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from penstock.cli.leash import Leashed
from penstock.cli.supervisor import Plan, Supervisor

from ..stack import wait_until

Event = tuple[str, ...]


class Recorder:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pids: list[int] = []

    def started(self, name: str, pid: int) -> None:
        self.pids.append(pid)
        self.events.append(("started", name))

    def said(self, name: str, line: str) -> None:
        self.events.append(("said", name, line))

    def ready(self, name: str, text: str) -> None:
        self.events.append(("ready", name, text))

    def died(self, name: str, exit_code: int | None, last_lines: Sequence[str], restart_in: float | None) -> None:
        self.events.append(("died", name, str(exit_code), *last_lines, "for good" if restart_in is None else "for now"))


Supervise = Callable[..., tuple[Supervisor, Recorder]]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Supervise shell scripts: `supervise(name=script)`."""
    running: list[Supervisor] = []

    def start(stop_seconds: float = 5.0, probe: Callable[[], bool] | None = None, **scripts: str) -> object:
        recorder = Recorder()

        def plan(name: str, script: str) -> Plan:
            return Plan(name, lambda: ["/bin/sh", "-c", script], probe=probe, stop_seconds=stop_seconds)

        supervisor = Supervisor([plan(name, script) for name, script in scripts.items()], recorder)
        running.append(supervisor)
        supervisor.start()
        return supervisor, recorder

    try:
        yield start  # type: ignore[misc]
    finally:
        for supervisor in running:
            supervisor.kill()
            supervisor.stop()


def test_readiness_is_a_line_and_other_lines_are_passed_on(supervise: Supervise) -> None:
    """`ready: …` is told as readiness, everything else as what the process said."""
    _, recorder = supervise(a="echo hello; echo 'ready: on port 1'; sleep 60")
    wait_until(lambda: ("ready", "a", "on port 1") in recorder.events, 10, "ready")
    assert recorder.events == [("started", "a"), ("said", "a", "hello"), ("ready", "a", "on port 1")]


def test_readiness_by_probe_is_told_once(supervise: Supervise) -> None:
    """With a probe, lines do not count; readiness comes when the probe says so."""
    open_now = threading.Event()
    _, recorder = supervise(a="echo 'ready: not this'; sleep 60", probe=open_now.is_set)
    wait_until(lambda: ("said", "a", "ready: not this") in recorder.events, 10, "line")
    assert ("ready", "a", "") not in recorder.events
    open_now.set()
    wait_until(lambda: recorder.events.count(("ready", "a", "")) == 1, 10, "probed")


def test_what_dies_is_restarted_with_its_last_lines(supervise: Supervise) -> None:
    """A death is told with exit code and output, and another process follows."""
    _, recorder = supervise(a="echo oops; exit 7")
    wait_until(lambda: recorder.events.count(("started", "a")) >= 2, 10, "restart")
    assert ("died", "a", "7", "oops", "for now") in recorder.events


def test_what_is_misconfigured_is_not_restarted(supervise: Supervise) -> None:
    """Exit code 2 ends it for good and fails the whole."""
    supervisor, recorder = supervise(a="echo 'no such setting'; exit 2", b="sleep 60")
    assert supervisor.failed.wait(10)
    assert ("died", "a", "2", "no such setting", "for good") in recorder.events
    assert recorder.events.count(("started", "a")) == 1


def test_what_cannot_be_started_fails_the_whole() -> None:
    """A plan whose command raises is told with its reason."""

    def command() -> list[str]:
        raise RuntimeError("the disk is full")

    recorder = Recorder()
    supervisor = Supervisor([Plan("a", command)], recorder)
    supervisor.start()
    assert supervisor.failed.wait(10)
    assert recorder.events == [("died", "a", "None", "the disk is full", "for good")]
    supervisor.stop()


def test_stopping_is_orderly_and_the_last_come_last(supervise: Supervise) -> None:
    """SIGTERM first to the others, and only when they have ended to those named last."""
    script = "trap 'echo bye; exit 0' TERM; echo 'ready: x'; while :; do sleep 0.05; done"
    supervisor, recorder = supervise(broker=script, a=script, b=script)
    wait_until(lambda: sum(e[0] == "ready" for e in recorder.events) == 3, 10, "all ready")
    supervisor.stop(last=["broker"])
    byes = [event[1] for event in recorder.events if event[0] == "said"]
    assert sorted(byes[:2]) == ["a", "b"]
    assert byes[2] == "broker"
    assert not [event for event in recorder.events if event[0] == "died"]


def test_what_does_not_end_is_killed_with_its_children(supervise: Supervise) -> None:
    """A process that ignores SIGTERM is gone after its bound, and so is what it started."""
    supervisor, recorder = supervise(a="trap '' TERM; sleep 600 & echo \"ready: $!\"; wait; wait", stop_seconds=0.3)
    wait_until(lambda: any(e[0] == "ready" for e in recorder.events), 10, "ready")
    grandchild = int(next(e[2] for e in recorder.events if e[0] == "ready"))
    supervisor.stop()
    wait_until(lambda: not _alive(recorder.pids[0]) and not _alive(grandchild), 10, "killed")


def test_a_leashed_process_gets_no_terminal_signals() -> None:
    """It lives in a session of its own, so that Ctrl-C reaches the supervisor alone."""
    process = Leashed([sys.executable, "-c", "import time; time.sleep(60)"], None)
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        assert process.stop(5) == -signal.SIGTERM


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
