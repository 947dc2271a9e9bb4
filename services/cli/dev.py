"""`penstock dev`: a broker and the four services on this machine, as one thing.

Order: the broker's installation is made ready; then broker and services start together (services wait for Kafka by
themselves); stopping ends the services first and the broker last. The data directory belongs to one `penstock dev`
at a time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from ..errors import InvalidSettings
from ..settings import BrokerSettings, KafkaSettings
from .broker.download import ready_installation
from .broker.server import BrokerPlace, answers, command
from .dev_console import DevConsole
from .ports import free_port, is_free, wanted_or_next
from .ready_file import Running
from .supervisor import Plan, Supervisor

SERVICES = ("ingest", "matcher", "executor", "history", "replayer")
SERVICE_STOP_SECONDS = 8.0
BROKER_STOP_SECONDS = 15.0
LOCK_NAME = "dev.lock"
#: Asking once a year is not asking.
A_YEAR_SECONDS = str(365 * 24 * 3600)
#: How glibc keeps memory: few arenas, and what is free at a heap's end goes back (setting it keeps the bound where it
#: is, else it grows to 64 MB with the largest block ever freed). Other C libraries take no notice.
SMALL_HEAPS = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": str(128 * 1024)}


@dataclass(frozen=True, slots=True)
class DevOptions:
    """The command's flags."""

    app_urls: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = 8288
    kafka_port: int = 9092
    data_dir: Path = Path(".penstock")
    ephemeral: bool = False
    retry_interval: float | None = None
    poll: bool = True
    ready_file: Path | None = None


def run_dev(options: DevOptions, kafka: KafkaSettings, broker: BrokerSettings, console: Console) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code. A second signal ends everything at once.

    Uses the embedded broker unless the settings name a cluster. Killed with -9, it takes all processes along.
    """
    with _data_dir(options) as data_dir:
        place = None if _names_a_cluster(kafka) else _broker_place(options, data_dir)
        servers = place.bootstrap_servers if place else kafka.kafka_bootstrap_servers
        port = _http_port(options)
        plans = [_service_plan(name, _environment(options, data_dir, port, servers)) for name in SERVICES]
        if place is not None:
            plans.insert(0, _broker_plan(place, broker, console))
        running = Running(servers, f"http://{options.host}:{port}")
        listener = DevConsole(console, running, [plan.name for plan in plans], options.ready_file)
        return _supervise(Supervisor(plans, listener), options)


def _supervise(supervisor: Supervisor, options: DevOptions) -> int:
    wake = threading.Event()
    asked = _count_signals(wake, supervisor)
    supervisor.start()
    while not asked and not supervisor.failed.is_set():
        wake.wait(0.2)
    supervisor.stop(last=["broker"])
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    return 0 if asked else 1


def _count_signals(wake: threading.Event, supervisor: Supervisor) -> list[int]:
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        asked.append(number)
        wake.set()
        if len(asked) > 1:
            supervisor.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    return asked


def _names_a_cluster(kafka: KafkaSettings) -> bool:
    return "kafka_bootstrap_servers" in kafka.model_fields_set


def _broker_place(options: DevOptions, data_dir: Path) -> BrokerPlace:
    port = free_port() if options.kafka_port == 0 else wanted_or_next(options.kafka_port)
    return BrokerPlace.at(data_dir / "kafka", port)


def _broker_plan(place: BrokerPlace, settings: BrokerSettings, console: Console) -> Plan:
    installation = ready_installation(settings, console)
    return Plan(
        "broker",
        partial(command, installation, place),
        probe=partial(answers, place),
        stop_seconds=BROKER_STOP_SECONDS,
    )


def _service_plan(name: str, environment: dict[str, str]) -> Plan:
    # -P: a file in the user's folder must not be taken for a module of ours or of the standard library.
    argv = [sys.executable, "-P", "-m", "penstock", name]
    return Plan(name, lambda: argv, environment, stop_seconds=SERVICE_STOP_SECONDS)


def _environment(options: DevOptions, data_dir: Path, port: int, bootstrap_servers: str) -> dict[str, str]:
    environment = {
        **{name: os.environ.get(name, value) for name, value in SMALL_HEAPS.items()},
        "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "PENSTOCK_DATA_DIR": str(data_dir),
        "PENSTOCK_MODE": "dev",
        "PENSTOCK_HOST": options.host,
        "PENSTOCK_PORT": str(port),
        # All end together: nobody is left to take a long call's run over, and Ctrl-C is to end at once.
        "PENSTOCK_DRAIN_SECONDS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if options.app_urls:
        environment["PENSTOCK_APP_URLS"] = ",".join(options.app_urls)
    if options.retry_interval is not None:
        environment["PENSTOCK_RETRY_INTERVAL_SECONDS"] = str(options.retry_interval)
    if not options.poll:
        environment |= {"PENSTOCK_APP_POLL_SECONDS": A_YEAR_SECONDS, "PENSTOCK_DISCOVER_APPS": "false"}
    return environment


def _http_port(options: DevOptions) -> int:
    if options.port == 0:
        return free_port()
    if not is_free(options.port):
        raise InvalidSettings(
            f"port {options.port} is in use, perhaps by another `penstock dev`: stop that, or choose --port "
            f"(SDKs look at 8288 by themselves; tell them another port by INNGEST_BASE_URL)"
        )
    return options.port


@contextmanager
def _data_dir(options: DevOptions) -> Iterator[Path]:
    if options.ephemeral:
        folder = Path(tempfile.mkdtemp(prefix="penstock-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    folder = options.data_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a+") as lock:
        _take(lock.fileno(), folder)
        yield folder


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        raise InvalidSettings(
            f"another `penstock dev` (process {owner}) is using {folder}: stop it, or choose another --data-dir"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
