"""`penstock broker`: the embedded broker without the services."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

from rich.console import Console

from ...settings import BrokerSettings
from ..ports import free_port, wanted_or_next
from .download import ready_installation
from .server import BrokerPlace, EmbeddedBroker


def run_alone(port: int, data_dir: Path | None, settings: BrokerSettings, console: Console) -> int:
    """Run until a signal or the broker's own end; its exit code, 0 after a signal. No data_dir: nothing is kept."""
    folder = data_dir / "kafka" if data_dir else Path(tempfile.mkdtemp(prefix="penstock-kafka-"))
    try:
        installation = ready_installation(settings, console)
        place = BrokerPlace.at(folder, wanted_or_next(port) if port else free_port())
        return _run(EmbeddedBroker(installation, place, None))
    finally:
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def _run(broker: EmbeddedBroker) -> int:
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        asked.append(number)
        broker.send(signal.SIGTERM if len(asked) == 1 else signal.SIGKILL)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    broker.wait_ready()
    print(broker.bootstrap_servers, flush=True)
    code = broker.wait()
    return 0 if asked else code
