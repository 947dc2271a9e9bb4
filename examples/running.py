"""Running an example: `penstock dev` with its own Kafka and the example's app beside it, both ended with us."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console

from penstock.cli.leash import Leashed

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 600.0
RUN_SECONDS = 60.0
console = Console(width=None if sys.stdout.isatty() else 110)
Json = dict[str, Any]
T = TypeVar("T")


@contextlib.contextmanager
def dev_server(folder: Path) -> Iterator[Json]:
    """`penstock dev` on free ports, keeping nothing; gives what its ready file says."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "penstock", "dev", "--ephemeral", "--port", "0", "--kafka-port", "0"]
    command += ["--no-poll", "--retry-interval", "0.5", "--ready-file", str(ready)]
    with ended_with_us(Leashed(command, None, {"PYTHONUNBUFFERED": "1"})) as dev:
        wait_for(lambda: ready.exists() or dev.exit_code() is not None, START_SECONDS, "penstock dev to be ready")
        if dev.exit_code() is not None:
            raise SystemExit(f"penstock dev ended with exit code {dev.exit_code()}")
        yield json.loads(ready.read_text("utf-8"))


@contextlib.contextmanager
def example_app(module: str, app_url: str, penstock_url: str, more: Mapping[str, str] | None = None) -> Iterator[None]:
    """The example's app at its URL, told where Penstock is."""
    command = [sys.executable, "-m", module, app_url.rpartition(":")[2]]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"INNGEST_DEV": penstock_url, "PYTHONPATH": path, **(more or {})}
    with ended_with_us(Leashed(command, None, environment)):
        wait_for(lambda: answers(f"{app_url}/docs"), START_SECONDS, "the app to listen")
        yield


@contextlib.contextmanager
def ended_with_us(process: Leashed) -> Iterator[Leashed]:
    try:
        yield process
    finally:
        process.stop(30)


def sync(app_url: str) -> Json:
    """Let the app register its functions; what it says to that."""
    answer = httpx.put(f"{app_url}/api/inngest", timeout=30)
    answer.raise_for_status()
    said: Json = answer.json()
    return said


def runs_of(http: httpx.Client, event_id: str, *, ended: bool) -> list[Json]:
    """The event's runs, as soon as there are any; with `ended`, as soon as all have ended."""

    def found() -> list[Json]:
        answer = http.get(f"/v1/events/{event_id}/runs")
        runs: list[Json] = answer.json()["data"] if answer.status_code == 200 else []
        return runs if not ended or all(run["ended_at"] for run in runs) else []

    return wait_for(found, RUN_SECONDS, f"the runs of event {event_id} to {'end' if ended else 'start'}")


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2).status_code == 200
    return False


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The condition's value as soon as it is truthy; ends the demo when that takes too long."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)
    return value


def exit_with(main: Callable[[], int]) -> None:
    """Run the demo to its exit code; being ended by somebody is no accident."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except (KeyboardInterrupt, subprocess.SubprocessError) as error:
        sys.exit(f"the demo was ended: {error!r}")
