"""One broker: its data directory, its configuration, its life as a process."""

from __future__ import annotations

import base64
import fcntl
import re
import shutil
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...errors import InvalidSettings, Unavailable
from ...kafka.probe import reachable
from ...settings import KafkaSettings
from ..leash import Leashed
from ..ports import free_port
from .installation import Installation

START_SECONDS = 60.0
STOP_SECONDS = 15.0
IN_USE_SECONDS = 10.0
HEAP_MEGABYTES = 256
#: Directories that do not say by which Kafka they were formatted are of this one.
UNSAID_KAFKA = "4.4.0"

#: Single node, small, prompt. Sizes are bytes.
_CONFIGURATION = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # After a kill, the same broker is let in again only when its old session has run out.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "6000",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "message.max.bytes": str(12 * 1024 * 1024),
    "replica.fetch.max.bytes": str(12 * 1024 * 1024),
    # Large requests wait in the socket rather than in a small heap.
    "queued.max.request.bytes": str(32 * 1024 * 1024),
    "socket.request.max.bytes": str(32 * 1024 * 1024),
    # A changelog is compacted only in closed segments, so they must not be huge.
    "log.segment.bytes": str(64 * 1024 * 1024),
    "log.index.size.max.bytes": str(1024 * 1024),
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    "group.coordinator.threads": "2",
    # No-op records that serve lag metrics of a quorum; one node has no lag, and an idle broker should be idle.
    "metadata.max.idle.interval.ms": "0",
}
_LOGGING = {
    "defaultLogLevel": "warn",
    "showThreadName": "false",
    "showShortLogName": "true",
    # These warn at every ordinary start and stop of a single node.
    "log.org.apache.kafka.controller.QuorumController": "error",
    "log.org.apache.kafka.clients.NetworkClient": "error",
}


@dataclass(frozen=True, slots=True)
class Door:
    """A further port, for clients that come through something in between.

    Kafka tells its clients where to connect: those who come by `port` are told `advertised`, where the thing between
    listens, and so stay behind it.
    """

    port: int
    advertised: int


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """Where a broker keeps its data and listens (clients on `port`, its own quorum on `controller_port`)."""

    folder: Path
    port: int
    controller_port: int
    doors: tuple[Door, ...] = ()

    @classmethod
    def at(cls, folder: Path, port: int | None = None, doors: Sequence[Door] = ()) -> BrokerPlace:
        """`folder` with the given port, or a free one."""
        return cls(folder.resolve(), port or free_port(), free_port(), tuple(doors))

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def formatted_by(self) -> Path:
        """Names the release of Kafka whose format the data has."""
        return self.folder / "kafka.version"


def command(installation: Installation, place: BrokerPlace, jvm_options: Sequence[str] = ()) -> list[str]:
    """Make the data directory ready and say how to start the broker on it.

    Raises `InvalidSettings` when another broker keeps using the directory, or a later Kafka has formatted it.
    """
    _prepare(installation, place)
    properties = place.folder / "server.properties"
    properties.write_text(_properties(place), "utf-8")
    options = [
        f"-Xmx{HEAP_MEGABYTES}m",
        "-Xms64m",
        *(jvm_options or _fast_start(installation)),
        *(f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in _LOGGING.items()),
    ]
    return [*installation.java(*options), "kafka.Kafka", str(properties)]


def _fast_start(installation: Installation) -> list[str]:
    """With the start-up cache, which is a help and no need: a JVM that cannot use it starts more slowly."""
    return [f"-XX:AOTCache={installation.startup_cache}", "-Xlog:disable", "-Xlog:all=error:stderr"]


class EmbeddedBroker:
    """A broker process of ours; ends with us whatever happens (see `leash`). Data stays, for the next start."""

    def __init__(
        self,
        installation: Installation,
        place: BrokerPlace,
        output: int | IO[bytes] | None,
        jvm_options: Sequence[str] = (),
    ) -> None:
        self.place = place
        self._process = Leashed(command(installation, place, jvm_options), output)

    @property
    def bootstrap_servers(self) -> str:
        return self.place.bootstrap_servers

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Return when it answers; raises `Unavailable` when it ended or took too long."""
        deadline = time.monotonic() + timeout_seconds
        while not answers(self.place):
            if (code := self._process.exit_code()) is not None:
                raise Unavailable(f"the embedded broker ended with exit code {code} while starting")
            if time.monotonic() > deadline:
                raise Unavailable(f"the embedded broker was not ready within {timeout_seconds:.0f} s")
            time.sleep(0.02)

    def send(self, signal_number: int) -> None:
        self._process.send(signal_number)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """The exit code, when it has ended."""
        return self._process.wait(timeout_seconds)

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> int:
        """End it in order, or by force when that takes too long."""
        return self._process.stop(timeout_seconds)


def answers(place: BrokerPlace) -> bool:
    """True when the broker takes connections and answers a metadata request."""
    try:
        socket.create_connection(("127.0.0.1", place.port), 0.5).close()
    except OSError:
        return False
    return reachable(KafkaSettings(kafka_bootstrap_servers=place.bootstrap_servers), 2.0)


def _prepare(installation: Installation, place: BrokerPlace) -> None:
    place.folder.mkdir(parents=True, exist_ok=True)
    if not (place.data / "meta.properties").is_file():
        shutil.rmtree(place.data, ignore_errors=True)
        fresh = place.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(installation.formatted, fresh)
        _give_identity(fresh / "meta.properties")
        place.formatted_by.write_text(installation.kafka, "utf-8")
        fresh.rename(place.data)
    _check_readable(installation, place)
    _wait_until_unused(place.data)


def _check_readable(installation: Installation, place: BrokerPlace) -> None:
    """Kafka reads what earlier releases formatted, not what later ones did: it would end with a stack trace."""
    written = place.formatted_by
    formatted_by = written.read_text("utf-8").strip() if written.is_file() else UNSAID_KAFKA
    if _release(formatted_by) > _release(installation.kafka):
        raise InvalidSettings(
            f"{place.folder} holds data of Kafka {formatted_by}, which the embedded Kafka {installation.kafka} cannot "
            "read: move the data directory away to begin anew, or choose another with --data-dir"
        )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _give_identity(meta: Path) -> None:
    """A cluster of its own: transactional ids and local state must never be mistaken for another's."""
    text = meta.read_text("utf-8")
    for name in ("cluster.id", "directory.id"):
        fresh = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        text = re.sub(rf"^{re.escape(name)}=.*$", f"{name}={fresh}", text, flags=re.MULTILINE)
    meta.chmod(0o644)
    meta.write_text(text, "utf-8")


def _wait_until_unused(data: Path) -> None:
    """The broker before us may still be stopping; its file lock tells."""
    deadline = time.monotonic() + IN_USE_SECONDS
    while _in_use(data / ".lock"):
        if time.monotonic() > deadline:
            raise InvalidSettings(f"another broker is using {data}: stop it, or choose another --data-dir")
        time.sleep(0.05)


def _in_use(lock: Path) -> bool:
    if not lock.exists():
        return False
    with lock.open("r+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _properties(place: BrokerPlace) -> str:
    inside = {"PLAINTEXT": place.port} | {f"DOOR{n}": door.port for n, door in enumerate(place.doors)}
    told = {"PLAINTEXT": place.port} | {f"DOOR{n}": door.advertised for n, door in enumerate(place.doors)}
    protocols = [f"{name}:PLAINTEXT" for name in (*inside, "CONTROLLER")]
    configuration = _CONFIGURATION | {
        "listeners": _addresses(inside | {"CONTROLLER": place.controller_port}),
        "advertised.listeners": _addresses(told),
        "listener.security.protocol.map": ",".join(protocols),
        "controller.quorum.voters": f"1@127.0.0.1:{place.controller_port}",
        "log.dirs": str(place.data),
    }
    return "".join(f"{name}={value}\n" for name, value in configuration.items())


def _addresses(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
