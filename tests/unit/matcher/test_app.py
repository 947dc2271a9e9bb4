"""What the worker does when one of its agents fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

from penstock.errors import Unavailable
from penstock.matcher.app import told_to

HANGS = (
    "import logging, threading\nlogging.basicConfig()\n"
    "from penstock.matcher.app import end_for_sure\nend_for_sure(0.2)\nthreading.Event().wait(50)"
)
ENDS = "import sys\nfrom penstock.matcher.app import end_for_sure\nend_for_sure(50)\nsys.exit(3)"


def test_what_fails_in_an_agent_fails_the_worker() -> None:
    """Whoever decides about the whole process is told, and the error goes on its way."""
    told: list[Exception] = []
    error = Unavailable("the disk is full")
    with pytest.raises(Unavailable), told_to(told.append):
        raise error
    assert told == [error]


@pytest.mark.parametrize(("program", "code"), [(HANGS, 1), (ENDS, 3)])
def test_a_worker_that_failed_ends_for_sure(program: str, code: int) -> None:
    """One that hangs while it stops is ended with exit code 1; one that stops in time is not held up."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == code
    assert ("ends as it is" in done.stderr) == (code == 1)
