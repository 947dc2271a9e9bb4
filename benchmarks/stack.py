"""The server under test: one that the benchmark starts, or one that is there already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

START_SECONDS = 180
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the server is and which processes to account."""

    url: str
    event_key: str
    pids: Callable[[], Mapping[str, int]]
    """The processes by name, as they are now: a supervisor restarts what dies."""


class StackFailed(Exception):
    """The server did not come up; the message has its last lines."""


@contextmanager
def penstock_dev(
    folder: Path, log: Path, environment: Mapping[str, str] | None = None, data_dir: Path | None = None
) -> Iterator[Stack]:
    """`penstock dev` with a broker and data of its own, gone afterwards; only what it said is left, in `log`.

    With `data_dir` its data can be looked at meanwhile.
    """
    ready = folder / "ready.json"
    command = [
        sys.executable,
        "-m",
        "penstock",
        "dev",
        *(["--ephemeral"] if data_dir is None else ["--data-dir", str(data_dir)]),
        "--ready-file",
        str(ready),
        "--port",
        "0",
        *([] if data_dir is None else ["--kafka-port", "0"]),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    try:
        _wait(process, ready, log)
        yield _stack(ready, process.pid)
    finally:
        _stop(process)


@contextmanager
def paused(pids: Mapping[str, int], name: str) -> Iterator[None]:
    """One service's process does not run meanwhile; nothing happens without a name."""
    if not name:
        yield
        return
    if name not in pids:
        raise StackFailed(f"there is no process {name!r} to pause; there are {', '.join(sorted(pids))}")
    os.kill(pids[name], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pids[name], signal.SIGCONT)


def _wait(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None:
            raise StackFailed(f"penstock dev ended with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise StackFailed(f"penstock dev was not ready within {START_SECONDS} s:\n{_tail(log)}")
        time.sleep(0.05)


def _stack(ready: Path, supervisor: int) -> Stack:
    def current() -> Mapping[str, int]:
        pids: dict[str, int] = orjson.loads(ready.read_bytes())["pids"]
        return {"supervisor": supervisor} | pids

    return Stack(orjson.loads(ready.read_bytes())["url"].rstrip("/"), "bench", current)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
