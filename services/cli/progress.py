"""Progress of what takes longer than a moment: a bar with rate and ETA on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_EVERY_SECONDS = 5.0


class Progress(Protocol):
    """Told how far it is."""

    def at(self, done: float, total: float, note: str = "") -> None: ...


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Progress]:
    """Shows progress on standard error until left; `quiet` shows nothing."""
    if quiet:
        yield _Silence()
    elif sys.stderr.isatty():
        with _bar(what) as bar:
            yield bar
    else:
        yield _Lines(what)


class _Silence:
    def at(self, done: float, total: float, note: str = "") -> None:
        return


class _Lines:
    """Plain lines: for logs and pipes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._said = time.monotonic()

    def at(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._said >= LINE_EVERY_SECONDS:
            self._said = now
            sys.stderr.write(line(self._what, done, total, now - self._began, note) + "\n")
            sys.stderr.flush()


def line(what: str, done: float, total: float, seconds: float, note: str = "") -> str:
    """How far it is, in one line."""
    rate = done / seconds if seconds > 0 else 0.0
    share = f"{100 * done / total:.0f} %" if total else "-"
    left = f", {(total - done) / rate:.0f} s left" if rate > 0 and total > done else ""
    return f"{what}: {done:.0f} of {total:.0f} ({share}), {rate:.0f}/s{left}" + (f", {note}" if note else "")


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="", note="")

        class Bar:
            def at(self, done: float, total: float, note: str = "") -> None:
                speed = bar.tasks[0].speed
                rate = f"{speed:.0f}/s" if speed else ""
                bar.update(task, completed=int(done), total=int(total), rate=rate, note=note)

        yield Bar()
