"""`penstock`: where settings are read, services are put together, and errors become exit codes.

Nothing else imports a service. Modules are imported by the command that needs them, so that each process carries
only its own.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine

from pydantic import ValidationError

from .cli.commands import app
from .cli.supervisor import MISCONFIGURED, READY_PREFIX
from .errors import InvalidSettings, PenstockError, TopicMismatch


def main() -> None:
    """Run the command; exit code 2 for settings and topics that cannot work, 1 for other errors."""
    try:
        app()
    except (InvalidSettings, TopicMismatch) as error:
        _leave(str(error), MISCONFIGURED)
    except ValidationError as error:
        _leave(_settings_error(error), MISCONFIGURED)
    except PenstockError as error:
        _leave(str(error), 1)


@app.command()
def ingest() -> None:
    """Accept events and apps over HTTP, and answer the read API."""
    from .history import api
    from .ingest import service
    from .settings import HistorySettings, KafkaSettings, ServerSettings

    routes = api.routes(HistorySettings())
    _run_async("ingest", service.serve(ServerSettings(), KafkaSettings(), routes, _ready))


@app.command()
def matcher() -> None:
    """Decide what each event starts."""
    from .matcher import service
    from .settings import KafkaSettings, MatcherSettings

    _log_to_stderr("matcher")
    service.run(MatcherSettings(), KafkaSettings(), _ready)


@app.command()
def executor() -> None:
    """Own partitions of runs and drive them."""
    from .executor import service
    from .settings import ExecutorSettings, KafkaSettings

    _run_async("executor", service.serve(ExecutorSettings(), KafkaSettings(), _ready))


@app.command()
def history() -> None:
    """Keep the read model of events and runs."""
    from .history import service
    from .settings import HistorySettings, KafkaSettings

    _run_async("history", service.serve(HistorySettings(), KafkaSettings(), _ready))


def _ready(text: str) -> None:
    sys.stdout.write(f"{READY_PREFIX}{text}\n")
    sys.stdout.flush()


def _run_async(name: str, service: Coroutine[object, object, None]) -> None:
    """Run until it ends or a signal cancels it."""
    _log_to_stderr(name)
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_until_signalled(service))


async def _until_signalled(service: Coroutine[object, object, None]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(service)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logging.getLogger(__name__).debug("stopped by a signal")


def _new_event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _log_to_stderr(name: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger(name).debug("starting")


def _settings_error(error: ValidationError) -> str:
    lines = [f"PENSTOCK_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
    return "a setting cannot be used: " + "; ".join(lines)


def _leave(message: str, code: int) -> None:
    sys.stderr.write(f"penstock: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
