"""The lock file of the embedded broker, and what counts as the jar it names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from penstock.cli.broker import jars
from penstock.cli.broker.jars import Jar, JarLock, lock_file, read_lock, resolve
from penstock.errors import Unavailable


def _jar(content: bytes, artifact: str = "thing") -> Jar:
    return Jar("org.example", artifact, "1.0", len(content), hashlib.sha256(content).hexdigest())


def _put(jar: Jar, repository: Path, content: bytes) -> Path:
    path = repository / jar.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_lock_names_every_jar_exactly_and_no_place() -> None:
    """Kafka 4, each jar once with a full checksum, and neither host nor URL in the file."""
    lock = read_lock(lock_file())
    assert lock.kafka.startswith("4.")
    assert len({jar.path for jar in lock.jars}) == len(lock.jars) > 30
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.bytes > 0 for jar in lock.jars)
    assert any(jar.artifact == "kafka_2.13" and jar.version == lock.kafka for jar in lock.jars)
    assert "//" not in lock_file().read_text("utf-8")


def test_sound_jars_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jars that match size and checksum are used as they are, in the lock's order."""
    one, two = _jar(b"one", "one"), _jar(b"two", "two")
    paths = [_put(one, tmp_path, b"one"), _put(two, tmp_path, b"two")]
    monkeypatch.setattr(jars, "_fetch", lambda *_: pytest.fail("nothing is missing"))
    assert resolve(JarLock("4", (one, two), "d"), tmp_path, lambda *_: None) == paths


@pytest.mark.parametrize("found", [None, b"oNe", b"one and more", b""])
def test_a_missing_or_damaged_jar_is_fetched(
    found: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent, changed, longer or truncated by an interrupted download: fetched again, and only that one."""
    good, other = _jar(b"one", "one"), _jar(b"two", "two")
    _put(other, tmp_path, b"two")
    if found is not None:
        _put(good, tmp_path, found)
    fetched: list[Jar] = []
    monkeypatch.setattr(jars, "_fetch", lambda missing, *_: fetched.extend(missing))
    resolve(JarLock("4", (good, other), "d"), tmp_path, lambda *_: None)
    assert fetched == [good]


def test_a_jar_that_is_not_the_one_of_the_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that serves something else gets nothing into the class path: error, and no file left."""
    from jgo.maven import PythonResolver

    def download(_self: object, artifact: object) -> Path:
        return _put(wanted, tmp_path, b"evil")

    wanted = _jar(b"good")
    monkeypatch.setattr(PythonResolver, "download", download)
    with pytest.raises(Unavailable, match="SHA-256 differs"):
        resolve(JarLock("4", (wanted,), "d"), tmp_path, lambda *_: None)
    assert not (tmp_path / wanted.path).exists()


def test_a_failed_download_says_which_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is an error that names the jar."""
    from jgo.maven import PythonResolver

    def download(_self: object, artifact: object) -> Path:
        raise OSError("network is unreachable")

    monkeypatch.setattr(PythonResolver, "download", download)
    with pytest.raises(Unavailable, match=r"org\.example:thing:1\.0.*network is unreachable"):
        resolve(JarLock("4", (_jar(b"good"),), "d"), tmp_path, lambda *_: None)
