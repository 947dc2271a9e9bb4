"""A file system that can be full, for tests: a few megabytes of memory, and a balloon in it that takes what is left.

It is mounted by a process in a mount namespace of its own, below a user namespace when we are not root: that needs no
rights on any Linux that allows such namespaces. Who is to live on the disk enters them (`within`), as only there the
folder is the small disk under its own name; SQLite resolves links, and would leave it by `/proc/<pid>/root`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .stack import wait_until

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=0777" tmpfs "$2" && echo mounted && exec sleep infinity'
_WHY = (
    "a small file system is needed, by root or by an unprivileged user namespace: on Ubuntu 24.04 and later "
    "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows the latter"
)


class SmallDisk:
    """`path` is the folder that can be full, as tests reach it, and `folder` as those see it who are started by
    `within`; `close` takes it away."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        into_users = ["--user", "--preserve-credentials"] if as_root else []
        command = ["unshare", "--mount", *as_root, "sh", "-c", _MOUNT, "mount", f"{megabytes}m", str(folder)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            _, said = self._holder.communicate(timeout=10)
            raise AssertionError(f"{_WHY} ({said.decode().strip()})")
        self.folder = folder.resolve()
        self.within = ["nsenter", f"--target={self._holder.pid}", "--mount", *into_users, "--"]
        self.path = Path(f"/proc/{self._holder.pid}/root{self.folder}")
        self._balloon = self.path / "balloon"

    def fill(self, leave: int = 0) -> None:
        """Take all that is free but `leave` bytes."""
        with self._balloon.open("ab") as balloon:
            while (free := self.free() - leave) > 0:
                balloon.write(bytes(min(free, 1 << 20)))
                balloon.flush()

    def free(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def give_back(self) -> None:
        """There is room again."""
        self._balloon.unlink()
        wait_until(lambda: self.free() > 0, 5, "room again")

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate(timeout=10)
