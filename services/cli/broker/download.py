"""Getting the broker ready with something to look at: a progress bar on the first download."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ...settings import BrokerSettings
from .installation import Installation, install
from .training import train


def ready_installation(settings: BrokerSettings, console: Console) -> Installation:
    """The installation; shows progress only when something has to be fetched or prepared."""
    bar = _Bar(console)
    try:
        return install(settings.cache_dir, bar.update, bar.say, train)
    finally:
        bar.close()


class _Bar:
    """A progress bar that appears with the first byte."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("fetching Apache Kafka"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("jars", total=None)
        self._shown = False

    def update(self, done: int, total: int) -> None:
        if not self._shown:
            self._progress.start()
            self._shown = True
        self._progress.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        self.close()
        self._console.print(text, style="dim")

    def close(self) -> None:
        if self._shown:
            self._progress.stop()
            self._shown = False
