"""Child processes that end when we do, even when we are killed with -9.

Each child gets a session of its own, so that Ctrl-C in the terminal reaches us alone and we decide the order in
which things stop. A tiny shell beside it holds the other end of a pipe of ours: when we are gone, however that came
about, the pipe closes and the shell ends the child's whole process group. Works wherever there is a POSIX shell.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

#: Waits for one line before it becomes the command: if we die before the watch stands, nothing is started.
_GATE = 'read -r _ && exec "$@"'
_WATCH = """
trap '' HUP INT TERM
read -r _
kill -s TERM -- "-$1" 2>/dev/null
i=0
while [ "$i" -lt 50 ] && kill -s 0 -- "-$1" 2>/dev/null; do sleep 0.1; i=$((i + 1)); done
kill -s KILL -- "-$1" 2>/dev/null
"""


class Leashed:
    """A running child with its watch. `wait` must be called in the end, so that both are reaped."""

    def __init__(
        self,
        argv: Sequence[str],
        output: int | IO[bytes] | None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv` with `environment` on top of ours; both output streams go to `output` (as for Popen)."""
        self._child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "penstock", *argv],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self.pid = self._child.pid
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "penstock-watch", str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._open_gate()

    @property
    def output(self) -> IO[bytes]:
        """What the child writes, when it was started with `subprocess.PIPE`."""
        if self._child.stdout is None:
            raise ValueError("the child's output was not piped")
        return self._child.stdout

    def exit_code(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._child.poll()

    def send(self, signal_number: int) -> None:
        """Signal the child, if it is still there."""
        self._child.send_signal(signal_number)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """The exit code, when the child has ended; raises `subprocess.TimeoutExpired`."""
        code = self._child.wait(timeout_seconds)
        self._release()
        return code

    def stop(self, timeout_seconds: float) -> int:
        """Ask the child to end; kill its process group when it does not within the bound."""
        self.send(signal.SIGTERM)
        try:
            return self.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the child's process group at once, and wait."""
        self.kill_group()
        return self.wait()

    def kill_group(self) -> None:
        """End the child's process group at once; somebody else waits."""
        if self._child.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)

    def _open_gate(self) -> None:
        gate = self._child.stdin
        assert gate is not None
        try:
            gate.write(b"\n")
            gate.flush()
        except BrokenPipeError:
            pass  # the child is gone already; its exit code tells

    def _release(self) -> None:
        self._watch.kill()
        self._watch.wait()
        for stream in (self._child.stdin, self._watch.stdin):
            if stream is not None and not stream.closed:
                stream.close()
