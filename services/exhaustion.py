"""Disk and memory that have run out: how it shows, and what is said and done then.

Nothing that a process has in memory is a promise, so one without memory says so and ends at once: whatever watches it
starts it again, and it goes on from what is on Kafka. A full disk is waited out.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from typing import NoReturn

#: In the words of the operating system, of RocksDB, which passes them on, and of SQLite; in lower case.
SIGNS_OF_A_FULL_DISK = ("no space left", "disk quota exceeded", "file too large", "disk is full")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explained(reason: str, place: object) -> str:
    """What a database gives as its reason, with what to do when it is that the disk is full."""
    if any(sign in reason.lower() for sign in SIGNS_OF_A_FULL_DISK):
        return f"the disk is full: make room for {place}, it goes on by itself then ({reason})"
    return reason


def disk_full(error: OSError) -> str | None:
    """What to tell people when an error of the operating system means a full disk; None when it does not."""
    if error.errno not in _FULL:
        return None
    place = f" for {error.filename}" if error.filename else ""
    return f"the disk is full: make room{place} and start again ({error})"


OUT_OF_MEMORY = (
    "out of memory: this process ends, and nothing that was promised is lost; give it more memory, or less to do at "
    "once (PENSTOCK_CACHED_RUNS_PER_PARTITION, PENSTOCK_MATCHER_BUFFER_EVENTS, PENSTOCK_HISTORY_BATCH_RECORDS, or more "
    "processes)"
)


def end_if_out_of_memory(error: BaseException | None) -> None:
    """To be called by whoever goes on after any error: without memory nobody does. A library in C that gets none may
    say so by another error, which has the want of memory as its cause."""
    while error is not None:
        if isinstance(error, MemoryError):
            end_without_memory()
        error = error.__cause__ or error.__context__


def watch_threads() -> None:
    """A thread that ends for want of memory takes the process with it: what it did, nobody would do any more."""
    threading.excepthook = _thread_ended


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    end_if_out_of_memory(ended.exc_value)
    threading.__excepthook__(ended)


def end_without_memory() -> NoReturn:
    """Say so, and end at once: clean-up would need memory, too. Exit code 1, so that a supervisor starts it again."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"penstock: {OUT_OF_MEMORY}\n".encode())
    os._exit(1)
