"""The server under test: one that the benchmark starts, or one that is there already."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
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
    pids: Mapping[str, int]
    bootstrap_servers: str = ""


class StackFailed(Exception):
    """The server did not come up; the message has its last lines."""


@contextmanager
def penstock_dev(folder: Path) -> Iterator[Stack]:
    """`penstock dev` with a broker and data of its own, gone afterwards."""
    ready, log = folder / "ready.json", folder / "dev.log"
    command = [
        sys.executable,
        "-m",
        "penstock",
        "dev",
        "--ephemeral",
        "--ready-file",
        str(ready),
        "--port",
        "0",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _stack(_wait(process, ready, log), process.pid)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], ready: Path, log: Path) -> bytes:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready.exists() and (content := ready.read_bytes()).strip():
            return content
        if process.poll() is not None:
            raise StackFailed(f"penstock dev ended with {process.returncode}:\n{_tail(log)}")
        time.sleep(0.05)
    raise StackFailed(f"penstock dev was not ready within {START_SECONDS} s:\n{_tail(log)}")


def _stack(ready: bytes, supervisor: int) -> Stack:
    described = orjson.loads(ready)
    pids = {"supervisor": supervisor} | described["pids"]
    return Stack(described["url"].rstrip("/"), "bench", pids, described["bootstrap_servers"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
