"""The broker's jars: which ones (the lock file), fetched once, verified every time."""

from __future__ import annotations

import hashlib
import os
import threading
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import Unavailable

#: Told (bytes so far, bytes in all) while jars are fetched.
Progress = Callable[[int, int], None]
PARALLEL_DOWNLOADS = 8
REQUEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar, exactly: a file that differs in a bit is not it."""

    group: str
    artifact: str
    version: str
    bytes: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies in a repository in Maven's layout."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True, slots=True)
class JarLock:
    """The lock file: Kafka's version, its jars in class path order, and a digest of it all."""

    kafka: str
    jars: tuple[Jar, ...]
    digest: str


def lock_file() -> Path:
    """Beside this module when installed, in `infra/` of a checkout otherwise."""
    packaged = Path(__file__).with_name("broker.lock.toml")
    return packaged if packaged.is_file() else Path(__file__).resolve().parents[3] / "infra" / "broker.lock.toml"


def read_lock(path: Path) -> JarLock:
    content = path.read_bytes()
    table = tomllib.loads(content.decode())
    jars = tuple(Jar(**row) for row in table["jar"])
    return JarLock(table["kafka"], jars, hashlib.sha256(content).hexdigest())


def resolve(lock: JarLock, repository: Path, progress: Progress) -> list[Path]:
    """All jars as verified files below `repository`, fetching what is missing or damaged.

    Raises `Unavailable` when a jar cannot be fetched, or is not the one that the lock file names. Only one process
    may do this on a repository at a time.
    """
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        sound = list(pool.map(lambda jar: _is_sound(jar, repository), lock.jars))
        missing = [jar for jar, ok in zip(lock.jars, sound, strict=True) if not ok]
        if missing:
            _fetch(missing, repository, progress, pool)
    return [repository / jar.path for jar in lock.jars]


def _is_sound(jar: Jar, repository: Path) -> bool:
    """Read in pieces: the process that looks at the jars lives on, and would keep the memory of 45 MB of them."""
    try:
        with (repository / jar.path).open("rb") as file:
            if os.fstat(file.fileno()).st_size != jar.bytes:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(jars: list[Jar], repository: Path, progress: Progress, pool: ThreadPoolExecutor) -> None:
    download = _Download(sum(jar.bytes for jar in jars), repository, progress)
    for _ in pool.map(download.fetch, jars):
        pass


class _Download:
    """Fetches jars by jgo, several at a time, and counts the bytes."""

    def __init__(self, total: int, repository: Path, progress: Progress) -> None:
        # Imported here because jgo takes long to import and is needed only the first time.
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext, PythonResolver

        self._total = total
        self._done = 0
        self._progress = progress
        self._lock = threading.Lock()
        self._repository = repository
        self._context = MavenContext(
            resolver=PythonResolver(progress_callback=self._one_file),
            repo_cache=repository,
            remote_repos=GlobalSettings.load().repositories or None,  # a mirror that the user has set up for jgo
            timeout=REQUEST_SECONDS,
        )
        progress(0, total)

    def fetch(self, jar: Jar) -> None:
        path = self._repository / jar.path
        path.unlink(missing_ok=True)
        try:
            self._context.create_dependency(jar.coordinate).artifact.resolve()
        except Exception as error:  # jgo raises whatever its HTTP client does
            path.unlink(missing_ok=True)
            raise Unavailable(f"cannot fetch {jar.coordinate} for the embedded broker: {error}") from error
        if not _is_sound(jar, self._repository):
            path.unlink(missing_ok=True)
            raise Unavailable(f"{jar.coordinate} is not the file that the lock file names: SHA-256 differs")

    @contextmanager
    def _one_file(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield self._count

    def _count(self, bytes_read: int) -> None:
        with self._lock:
            self._done += bytes_read
            self._progress(min(self._done, self._total), self._total)
