"""The benchmark's bookkeeping of CPU and memory, on real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import Accounts

BURN = (
    "import time, sys; e = time.process_time() + 0.3\n"
    "while time.process_time() < e: pass\n"
    "print(1, flush=True); sys.stdin.read()"
)
PARENT = (
    "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE)\n"
    "print(c.pid, flush=True); sys.stdin.read(); c.stdin.close(); c.wait()"
)


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends when its input does."""
    arguments = [sys.executable, "-c", *command]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate(timeout=20)


def line(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_a_process_is_charged_for_what_it_used() -> None:
    """0.3 s of work show as 0.3 s of CPU, and as memory."""
    with running(BURN) as process:
        accounts = Accounts({"worker": process.pid})
        before = accounts.read()
        line(process)
        used = accounts.read().cpu_since(before)["worker"]
        assert 0.2 <= used <= 0.6
        assert accounts.read().costs["worker"].rss_bytes > 1_000_000


def test_children_without_a_name_are_their_parents_cost() -> None:
    """A JVM behind a wrapper is the wrapper's."""
    with running(PARENT, BURN) as parent:
        line(parent)
        line(parent)
        assert Accounts({"broker": parent.pid}).read().costs["broker"].cpu_seconds >= 0.3


def test_children_with_a_name_are_charged_once() -> None:
    """A supervisor is not charged for the services it started."""
    with running(PARENT, BURN) as parent:
        child = line(parent)
        line(parent)
        costs = Accounts({"supervisor": parent.pid, "service": child}).read().costs
        alone = Accounts({"all": parent.pid}).read().costs["all"]
        assert costs["service"].cpu_seconds >= 0.3
        assert costs["supervisor"].cpu_seconds <= round(alone.cpu_seconds - 0.3, 3), "in whole ticks"


def test_an_ended_process_is_named_and_costs_nothing() -> None:
    """A service that died during a phase is a finding, not a crash of the benchmark."""
    with running(BURN) as process:
        accounts = Accounts({"service": process.pid})
        line(process)
    assert accounts.gone() == ["service"]
    assert accounts.read().costs["service"].cpu_seconds == 0


def test_quiet_is_noticed() -> None:
    """Processes that do nothing are quiet; one that works all the time never is."""
    with running("import sys; print(1, flush=True); sys.stdin.read()") as process:
        line(process)
        assert Accounts({"idle": process.pid}).wait_until_quiet(window_seconds=0.1, limit_seconds=20)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        # Of a machine full of others it may get a small share only, and is not quiet for that.
        assert not Accounts({"busy": busy.pid}).wait_until_quiet(cores=0.01, window_seconds=0.3, limit_seconds=1)
    finally:
        busy.kill()
        busy.wait()
