"""Keeps a set of processes running: starts them, tells when they are ready, restarts what dies, stops all.

One thread per process follows its output and its end. What happens is told to one listener, under one lock, so that
the listener needs none of its own.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .leash import Leashed
from .restarts import deaths_in_a_row, restart_delay
from .signs import MISCONFIGURED, READY_PREFIX

LAST_LINES = 20
PROBE_EVERY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run one process."""

    name: str
    command: Callable[[], Sequence[str]]
    """Asked before every start."""
    environment: Mapping[str, str] = field(default_factory=dict)
    probe: Callable[[], bool] | None = None
    """Ready when this says so; without it, when the process prints a line that starts with `ready: `."""
    stop_seconds: float = 10.0
    """How long an orderly end may take."""


class Listener(Protocol):
    """Told what happens to processes; calls do not overlap, and must not call back into the supervisor."""

    def started(self, name: str, pid: int) -> None: ...

    def said(self, name: str, line: str) -> None: ...

    def ready(self, name: str, text: str) -> None: ...

    def died(self, name: str, exit_code: int | None, last_lines: Sequence[str], restart_in: float | None) -> None:
        """`exit_code` is None when it was not even started, `restart_in` when it will not be started again."""


class Supervisor:
    """Runs the plans until `stop`. A process that is misconfigured, or cannot be started, sets `failed`."""

    def __init__(self, plans: Sequence[Plan], listener: Listener) -> None:
        self._listener = listener
        self._telling = threading.RLock()
        self._processes = [_Supervised(plan, self) for plan in plans]
        self.failed = threading.Event()

    def start(self) -> None:
        """Start all; returns at once."""
        for process in self._processes:
            process.start()

    def stop(self, last: Sequence[str] = ()) -> None:
        """End all in order, or by force after their bounds; those named in `last` after the others."""
        for group in (
            [p for p in self._processes if p.plan.name not in last],
            [p for p in self._processes if p.plan.name in last],
        ):
            for process in group:
                process.ask_to_end()
            for process in group:
                process.wait_ended()

    def kill(self) -> None:
        """End all at once, by force."""
        for process in self._processes:
            process.kill()

    def tell(self, what: Callable[[Listener], None]) -> None:
        with self._telling:
            what(self._listener)


class _Supervised(threading.Thread):
    """One plan and, most of the time, its process."""

    def __init__(self, plan: Plan, supervisor: Supervisor) -> None:
        super().__init__(name=f"supervise-{plan.name}", daemon=True)
        self.plan = plan
        self._supervisor = supervisor
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._process: Leashed | None = None
        self._deaths = 0

    def run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._run_once(began)
            except Exception as error:  # what cannot even be started ends the whole, with its reason
                self._give_up(None, [str(error)])
                return

    def ask_to_end(self) -> None:
        self._stopping.set()
        with self._guard:
            if self._process is not None:
                self._process.send(signal.SIGTERM)

    def wait_ended(self) -> None:
        if not self.is_alive():
            return
        self.join(self.plan.stop_seconds)
        self.kill()
        self.join()

    def kill(self) -> None:
        self._stopping.set()
        with self._guard:
            if self._process is not None:
                self._process.kill_group()

    def _run_once(self, began: float) -> None:
        process = self._spawn()
        if process is None:
            return
        self._watch_readiness(process)
        last_lines = self._follow(process)
        code = process.wait()
        with self._guard:
            self._process = None
        if not self._stopping.is_set():
            self._after_death(code, last_lines, time.monotonic() - began)

    def _spawn(self) -> Leashed | None:
        command = self.plan.command()
        with self._guard:
            if self._stopping.is_set():
                return None
            self._process = Leashed(command, subprocess.PIPE, self.plan.environment)
            process = self._process
        self._supervisor.tell(lambda listener: listener.started(self.plan.name, process.pid))
        return process

    def _follow(self, process: Leashed) -> list[str]:
        """Pass its output on until it closes; the last lines are kept for its obituary."""
        last: deque[str] = deque(maxlen=LAST_LINES)
        for raw in process.output:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if self.plan.probe is None and line.startswith(READY_PREFIX):
                self._tell_ready(line.removeprefix(READY_PREFIX))
            else:
                last.append(line)
                self._tell_said(line)
        return list(last)

    def _watch_readiness(self, process: Leashed) -> None:
        if self.plan.probe is not None:
            threading.Thread(target=self._probe, args=(process, self.plan.probe), daemon=True).start()

    def _probe(self, process: Leashed, probe: Callable[[], bool]) -> None:
        while process.exit_code() is None and not self._stopping.is_set():
            if probe():
                self._tell_ready("")
                return
            time.sleep(PROBE_EVERY_SECONDS)

    def _after_death(self, code: int, last_lines: list[str], alive_seconds: float) -> None:
        if code == MISCONFIGURED:
            self._give_up(code, last_lines)
            return
        self._deaths = deaths_in_a_row(self._deaths, alive_seconds)
        delay = restart_delay(self._deaths)
        self._supervisor.tell(lambda listener: listener.died(self.plan.name, code, last_lines, delay))
        self._stopping.wait(delay)

    def _give_up(self, code: int | None, last_lines: list[str]) -> None:
        self._stopping.set()
        self._supervisor.tell(lambda listener: listener.died(self.plan.name, code, last_lines, None))
        self._supervisor.failed.set()

    def _tell_ready(self, text: str) -> None:
        self._supervisor.tell(lambda listener: listener.ready(self.plan.name, text))

    def _tell_said(self, line: str) -> None:
        self._supervisor.tell(lambda listener: listener.said(self.plan.name, line))
