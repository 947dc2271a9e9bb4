"""A whole Penstock as real processes, for tests: `penstock dev` on the session's broker, and further services beside.

What a test kills, the supervisor restarts, as it would for a user.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.cli.leash import Leashed
from penstock.cli.ports import free_port
from penstock.settings import KafkaSettings

READY_SECONDS = 120.0
STOP_SECONDS = 30.0


def wait_until(condition: Callable[[], object], seconds: float, what: str | Callable[[], str]) -> None:
    """Return as soon as the condition holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


class Stack:
    """`penstock dev` as a user starts it, with a data directory and topics of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        bootstrap_servers: str | None,
        topic_prefix: str = "penstock.",
        port: int | None = None,
        retry_interval: float | None = None,
        app_urls: Sequence[str] = (),
        poll: bool = False,
        environment: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        within: Sequence[str] = (),
    ) -> None:
        """Start it; with no `bootstrap_servers`, on an embedded broker of its own. `within` is a program that becomes
        the one it is given, in other surroundings."""
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = folder / "data"
        self.log = folder / "stack.log"
        self.ready_file = folder / "ready.json"
        self.port = port or free_port()
        self.environment = {"PENSTOCK_TOPIC_PREFIX": topic_prefix, **(environment or {})}
        if bootstrap_servers is not None:
            self.environment["PENSTOCK_KAFKA_BOOTSTRAP_SERVERS"] = bootstrap_servers
        if retry_interval is not None:
            self.environment["PENSTOCK_RETRY_INTERVAL_SECONDS"] = str(retry_interval)  # of further services, too
        command = [sys.executable, "-P", "-m", "penstock", "dev", "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir), "--ready-file", str(self.ready_file), "--kafka-port", "0"]
        command += [part for url in app_urls for part in ("-u", url)]
        command += ["--retry-interval", str(retry_interval)] if retry_interval is not None else []
        command += [] if poll else ["--no-poll"]
        self.topic_prefix = topic_prefix
        self._extra: list[Leashed] = []
        self.data_dirs = [self.data_dir]
        """Where local stores may be, those of further processes included."""
        self.has_own_broker = bootstrap_servers is None
        self.was_ready = False
        """All services were up once: from then on its topics are held to the rules, whatever becomes of it."""
        self._known_servers = bootstrap_servers
        with self.log.open("ab") as log:
            self._dev = Leashed([*within, *command, *flags], log, self.environment)

    @property
    def url(self) -> str:
        """Where events, apps and the API are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The supervisor."""
        return self._dev.pid

    @property
    def bootstrap_servers(self) -> str:
        """Known as long as the broker is; one of its own tells when it is up."""
        return self._known_servers or str(self._ready()["bootstrap_servers"])

    @property
    def kafka(self) -> KafkaSettings:
        """Settings by which a test reaches the same topics."""
        counts = ("event_partitions", "run_partitions", "wait_partitions")
        asked = {name: self.environment.get(f"PENSTOCK_{name.upper()}") for name in counts}
        return KafkaSettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            topic_prefix=self.topic_prefix,
            **{name: int(count) for name, count in asked.items() if count is not None},
        )

    def pids(self) -> dict[str, int]:
        """Process ids by service, as of now."""
        return dict(self._ready()["pids"])

    def restarts(self, service: str) -> int:
        return int(self._ready()["restarts"][service])

    def is_ready(self) -> bool:
        """All services are up."""
        return self.ready_file.exists() and all(self._ready()["ready"].values())

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when all services are up; fails with the log when they are not, or when it ended."""
        wait_until(lambda: self.is_ready() or self.exit_code() is not None, seconds, self.text)
        if self.exit_code() is not None:
            raise AssertionError(f"the stack ended with exit code {self.exit_code()}:\n{self.text()}")
        self.was_ready = True

    def kill(self, service: str, signal_number: int = signal.SIGKILL) -> int:
        """Signal a service; its process id at that time."""
        pid = self.pids()[service]
        os.kill(pid, signal_number)
        return pid

    def wait_restarted(self, service: str, killed_pid: int, seconds: float = READY_SECONDS) -> None:
        """Return when another process does the killed one's work."""
        wait_until(
            lambda: self.pids()[service] != killed_pid and self._ready()["ready"][service],
            seconds,
            lambda: f"{service} again\n{self.text()}",
        )

    def start_service(self, service: str, environment: Mapping[str, str] | None = None) -> Leashed:
        """One more process of a service, beside the supervised one, with a data directory of its own."""
        data_dir = self.data_dir.parent / f"{service}-{len(self._extra)}"
        own = {
            **self.environment,
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "PENSTOCK_DATA_DIR": str(data_dir),
            "PENSTOCK_MODE": "dev",
            "PENSTOCK_PORT": str(free_port()),
            **(environment or {}),
        }
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dirs.append(data_dir)
        with data_dir.with_suffix(".log").open("ab") as log:
            process = Leashed([sys.executable, "-P", "-m", "penstock", service], log, own)
        self._extra.append(process)
        path = data_dir.with_suffix(".log")
        wait_until(lambda: b"ready: " in path.read_bytes(), READY_SECONDS, lambda: path.read_text("utf-8", "replace"))
        return process

    def added_pids(self) -> list[int]:
        """Of the processes beside the supervised ones that have not ended."""
        return [process.pid for process in self._extra if process.exit_code() is None]

    def text(self) -> str:
        """What the processes wrote."""
        return self.log.read_text("utf-8", "replace")

    def exit_code(self) -> int | None:
        return self._dev.exit_code()

    def send(self, signal_number: int) -> None:
        """Signal the supervisor."""
        self._dev.send(signal_number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The supervisor's exit code, once it has ended."""
        try:
            return self._dev.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the stack did not end within {seconds:g} s:\n{self.text()}") from error

    def stop(self) -> None:
        """End everything, also processes that a test has stopped with SIGSTOP."""
        for process in self._extra:
            process.send(signal.SIGCONT)
            process.stop(STOP_SECONDS)
        if self.exit_code() is None and self.ready_file.exists():
            for pid in self.pids().values():
                _continue(pid)
        self._dev.stop(STOP_SECONDS)

    def _ready(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.ready_file.read_text("utf-8"))
        return content


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
