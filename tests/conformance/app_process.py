"""An app as a process of its own, the way users run theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from penstock.cli.leash import Leashed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
READY_SECONDS = 30.0


class AppProcess:
    """Runs a command until its first line says where it listens; its last lines explain what went wrong."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], port: int = 0) -> None:
        self.name = name
        self._said: deque[str] = deque(maxlen=60)
        self._ready = threading.Event()
        self.origin = ""
        variables = {
            "CONFORMANCE_APP": name,
            "CONFORMANCE_PORT": str(port),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "*",
            **environment,
        }
        self._process = Leashed([*_without_sdk_settings(), *command], subprocess.PIPE, variables)
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_ready(self) -> AppProcess:
        """Return when the app listens."""
        assert self._ready.wait(READY_SECONDS), f"{self.name} does not say where it listens:\n{self.said()}"
        assert self.origin, f"{self.name} ended with {self._process.exit_code()}:\n{self.said()}"
        return self

    @property
    def url(self) -> str:
        """Where the SDK is served."""
        return f"{self.origin}/api/inngest"

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def said(self) -> str:
        return "".join(self._said)

    def sync(self) -> httpx.Response:
        """Ask the app to register its functions (out of band)."""
        answer = httpx.put(self.url, timeout=30.0)
        assert answer.status_code == 200, f"{self.name} did not sync: {answer.status_code} {answer.text}\n{self.said()}"
        return answer

    def journal(self, run: str) -> list[dict[str, Any]]:
        """What the app noted of the run; see `apps/journal.py`."""
        return list(httpx.get(f"{self.origin}/journal/{run}", timeout=10.0).json())

    def counts(self, run: str) -> Counter[str]:
        return Counter(line["what"] for line in self.journal(run))

    def entered(self, run: str, times: int) -> bool:
        """Whether the run's function was entered so often."""
        return self.counts(run)["enter"] >= times

    def stop(self) -> None:
        self._process.kill()

    def _listen(self) -> None:
        for written in self._process.output:
            line = written.decode("utf-8", "replace")
            self._said.append(line)
            if line.startswith("listening on ") and not self.origin:
                self.origin = line.removeprefix("listening on ").strip()
                self._ready.set()
        self._ready.set()


def python_app(module: str) -> list[str]:
    """Command that runs an app of `tests/conformance/apps`."""
    return [sys.executable, "-m", f"tests.conformance.apps.{module}"]


def gap_seconds(journal: Sequence[Mapping[str, Any]], earlier: str, later: str) -> float:
    """Time between two notes of a journal."""
    at = {str(line["what"]): int(line["at"]) for line in journal}
    return (at[later] - at[earlier]) / 1000


def wait_until(condition: Any, what: str, seconds: float = 20.0) -> Any:
    """The first truthy value of `condition()`; an assertion error says that `what` did not happen in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)
    return value


def _without_sdk_settings() -> list[str]:
    """What the developer has set for SDKs is not for these apps."""
    return ["env", *(part for name in os.environ if name.startswith("INNGEST_") for part in ("-u", name))]
