"""What is said when disk or memory has run out."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from penstock.exhaustion import disk_full, explained


@pytest.mark.parametrize(
    "reason",
    [
        "IO error: No space left on device: While appending to file: /x/000012.log: No space left on device",
        "IO error: Disk quota exceeded: While open a file for appending",
        "IO error: While appending to file: File too large",
        "database or disk is full",
    ],
)
def test_a_full_disk_is_known_by_every_database_s_words_and_says_what_to_do(reason: str) -> None:
    """The reason stays, with what to do before it."""
    text = explained(reason, "/data/state")
    assert text.startswith("the disk is full: make room for /data/state")
    assert reason in text


def test_other_reasons_are_left_as_they_are() -> None:
    """No advice where none is known."""
    assert explained("IO error: Permission denied", "/data") == "IO error: Permission denied"


def test_an_error_of_the_system_is_a_full_disk_or_none() -> None:
    """ENOSPC names the file; another errno is another trouble."""
    text = disk_full(OSError(errno.ENOSPC, "No space left on device", "/data/state"))
    assert text is not None
    assert "make room for /data/state and start again" in text
    assert disk_full(OSError(errno.EACCES, "Permission denied", "/data/state")) is None


@pytest.mark.parametrize("where", ["task", "main", "thread"])
def test_a_service_without_memory_says_so_and_ends(where: str) -> None:
    """Also when nobody waits for the task or thread that got none: exit code 1 and one line, no traceback."""
    program = {
        "main": "async def serve(): raise MemoryError",
        "thread": "import threading\ndef fail(): raise SystemError from MemoryError()\n"
        "async def serve():\n    threading.Thread(target=fail).start(); await asyncio.sleep(60)",
        "task": "async def fail(): raise MemoryError\n"
        "async def serve():\n    asyncio.create_task(fail()); await asyncio.sleep(0); gc.collect()\n"
        "    await asyncio.sleep(60)",
    }[where]
    start = "from penstock import __main__ as m\nm.SERVICES['x'] = lambda: m._run_async(serve())\nm.main()"
    done = subprocess.run(
        [sys.executable, "-c", f"import asyncio, gc, sys\nsys.argv = ['penstock', 'x']\n{program}\n{start}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: out of memory: ")
    assert "Traceback" not in done.stderr
