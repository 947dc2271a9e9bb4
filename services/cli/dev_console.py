"""What `penstock dev` shows: the services' lines, each with its name; deaths and restarts; what listens where."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from .ready_file import Running, write_ready_file

_COLOURS = {
    "broker": "magenta",
    "ingest": "cyan",
    "matcher": "green",
    "executor": "yellow",
    "history": "blue",
    "replayer": "bright_black",
}
_NAME_WIDTH = 8
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


#: What the kernel does to a process for want of memory, and what libraries do that get none.
_WITHOUT_MEMORY = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV)


class DevConsole:
    """Listens to the supervisor, prints, and keeps the ready file up to date."""

    def __init__(self, console: Console, running: Running, names: Sequence[str], ready_file: Path | None) -> None:
        self._console = console
        self._running = running
        self._ready_file = ready_file
        self._texts: dict[str, str] = {}
        self._began = time.monotonic()
        self.all_ready = threading.Event()
        running.ready = dict.fromkeys(names, False)
        running.restarts = dict.fromkeys(names, 0)

    def started(self, name: str, pid: int) -> None:
        if name in self._running.pids:
            self._running.restarts[name] += 1
        self._running.pids[name] = pid
        self._running.ready[name] = False
        self._update_file()

    def said(self, name: str, line: str) -> None:
        text = _TERMINAL_CODES.sub("", line).rstrip()
        if text:
            self._print(name, Text(text))

    def ready(self, name: str, text: str) -> None:
        self._texts[name] = text
        self._running.ready[name] = True
        if self.all_ready.is_set():
            self._print(name, Text(f"ready again: {text}" if text else "ready again", style="bold"))
        elif self._running.all_ready:
            self._print_summary(self._texts)
            self.all_ready.set()
        self._update_file()

    def died(self, name: str, exit_code: int | None, last_lines: Sequence[str], restart_in: float | None) -> None:
        self._running.ready[name] = False
        self._update_file()
        how = _end(exit_code)
        if restart_in is None:
            self._print(name, Text(f"{how} and cannot run like this:", style="bold red"))
        else:
            self._print(name, Text(f"{how}; starting it again in {restart_in:g} s. Last lines:", style="bold red"))
        for line in last_lines:
            self._print(name, Text(f"  {line}", style="red"))

    def _update_file(self) -> None:
        if self._ready_file is not None and (self.all_ready.is_set() or self._running.all_ready):
            write_ready_file(self._ready_file, self._running)

    def _print(self, name: str, text: Text) -> None:
        prefix = Text(f"{name:<{_NAME_WIDTH}} │ ", style=_COLOURS.get(name, "white"))
        self._console.print(prefix + text, soft_wrap=True, highlight=False)

    def _print_summary(self, texts: Mapping[str, str]) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(Text(f"\nPenstock is ready after {seconds:.1f} s.", style="bold green"))
        self._console.print(f"  events, apps, API  {self._running.url}", highlight=False)
        self._console.print(f"  Kafka              {self._running.bootstrap_servers}", highlight=False)
        for name, text in texts.items():
            if text:
                text = text.removeprefix(name).lstrip(": ")
                self._console.print(f"  {name:<18} {text}", highlight=False, soft_wrap=True)
        self._console.print("  Ctrl-C stops all of it.\n", style="dim")


def _end(exit_code: int | None) -> str:
    if exit_code is None:
        return "was not started"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    hint = " (for want of memory, perhaps: give it more)" if -exit_code in _WITHOUT_MEMORY else ""
    return f"was ended by signal {-exit_code}{hint}"
