"""`penstock`: where settings are read, services are put together, and errors become exit codes.

Nothing else imports a service. Modules are imported by the command that needs them, so that each process carries
only its own.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

from .cli.exit_codes import FAILED, INTERRUPTED, MISUSED, exit_code
from .cli.signs import READY_PREFIX
from .errors import PenstockError
from .exhaustion import disk_full, end_if_out_of_memory, end_without_memory, watch_threads

if TYPE_CHECKING:
    import asyncio

    from starlette.routing import BaseRoute

    from .replay.api import ReplayDesk
    from .settings import HistorySettings, KafkaSettings


def main() -> None:
    """Run the command; what its exit codes mean stands in `cli.exit_codes`. No error of ours shows a traceback."""
    watch_threads()
    try:
        _command()()
    except PenstockError as error:
        _leave(str(error), exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes at its end.
        sys.stderr.close()
    except ValueError as error:
        _leave(_settings_error(error), MISUSED)
    except MemoryError:
        end_without_memory()
    except OSError as error:
        if (text := disk_full(error)) is None:
            raise
        _leave(text, FAILED)


def _command() -> Callable[[], None]:
    """A service by its bare name starts at once; everything else goes through the command line parser."""
    service = SERVICES.get(sys.argv[1]) if len(sys.argv) == 2 else None
    return service or _parser()


def _parser() -> Callable[[], None]:
    from .cli.commands import app

    for name, service in SERVICES.items():
        app.command(name)(service)
    return app


def ingest() -> None:
    """Accept events and apps over HTTP, and answer the read API."""
    from .dashboard.site import site
    from .history.past import Past
    from .history.read import read_model
    from .ingest import service
    from .ingest.app import Inside
    from .replay import api as replay_api
    from .settings import DashboardSettings, HistorySettings, KafkaSettings, ReplaySettings, ServerSettings

    kafka = KafkaSettings()
    desk = replay_api.ReplayDesk(ReplaySettings(), kafka)
    routes = other_routes(HistorySettings(), desk)
    model, dashboard = read_model(HistorySettings()), DashboardSettings()

    def pages(inside: Inside) -> Sequence[BaseRoute]:
        return site(dashboard, kafka, model, inside.functions, inside.app)

    async def serve() -> None:
        # Ingest waits for Kafka by itself, because it answers meanwhile.
        try:
            await service.serve(ServerSettings(), kafka, routes, _ready, Past(model), pages)
        finally:
            await desk.close()

    _run_async(serve())


def other_routes(history: HistorySettings, desk: ReplayDesk) -> list[BaseRoute]:
    """What ingest serves of other rooms: the read API, with the description of everybody's API, and replays."""
    from .history import api
    from .ingest import openapi as ingest_openapi
    from .replay import api as replay_api
    from .replay import openapi as replay_openapi

    return [*api.routes(history, (ingest_openapi.PART, replay_openapi.PART)), *replay_api.routes(desk)]


def matcher() -> None:
    """Decide what each event starts."""
    import asyncio

    from .kafka.topics import ensure_topics
    from .matcher import service
    from .settings import KafkaSettings, MatcherSettings

    _log_to_stderr()
    kafka = KafkaSettings()
    asyncio.run(ensure_topics(kafka, _waiting))
    service.run(MatcherSettings(), kafka, _ready)


def executor() -> None:
    """Own partitions of runs and drive them."""
    from .executor import service
    from .settings import ExecutorSettings, KafkaSettings

    kafka = KafkaSettings()
    _run_async(_with_topics(kafka, service.serve(ExecutorSettings(), kafka, _ready)))


def history() -> None:
    """Keep the read model of events and runs."""
    from .history import service
    from .settings import HistorySettings, KafkaSettings

    kafka = KafkaSettings()
    _run_async(_with_topics(kafka, service.serve(HistorySettings(), kafka, _ready)))


def replayer() -> None:
    """Carry out replays and backfills."""
    from .replay import service
    from .settings import KafkaSettings, ReplaySettings

    kafka = KafkaSettings()
    _run_async(_with_topics(kafka, service.serve(ReplaySettings(), kafka, _ready)))


SERVICES: dict[str, Callable[[], None]] = {
    "ingest": ingest,
    "matcher": matcher,
    "executor": executor,
    "history": history,
    "replayer": replayer,
}


def _ready(text: str) -> None:
    sys.stdout.write(f"{READY_PREFIX}{text}\n")
    sys.stdout.flush()


def _waiting(text: str) -> None:
    logging.getLogger(__name__).warning(text)


async def _with_topics(kafka: KafkaSettings, service: Coroutine[object, object, None]) -> None:
    """Run a service that needs Kafka and its topics from the first moment on."""
    from .kafka.topics import ensure_topics

    try:
        await ensure_topics(kafka, _waiting)
    except BaseException:
        service.close()
        raise
    await service


def _run_async(service: Coroutine[object, object, None]) -> None:
    """Run until it ends or a signal cancels it."""
    import asyncio

    _log_to_stderr()
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_until_signalled(service))


async def _until_signalled(service: Coroutine[object, object, None]) -> None:
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(service)
    loop.set_exception_handler(_nobody_took)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logging.getLogger(__name__).debug("stopped by a signal")


def _nobody_took(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """An error that a task or callback ended with, and that nobody waits for."""
    error = context.get("exception")
    end_if_out_of_memory(error if isinstance(error, BaseException) else None)
    loop.default_exception_handler(context)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _log_to_stderr() -> None:
    from .kafka.complaints import COMPLAINTS, OnceInAWhile

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("httpx", "faust", "mode", "aiokafka", "penstock.matcher.app", "penstock.matcher.faust_kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(OnceInAWhile(COMPLAINTS))
    logging.captureWarnings(True)


def _settings_error(error: ValueError) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        raise error
    lines = [f"PENSTOCK_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
    return "a setting cannot be used: " + "; ".join(lines)


def _leave(message: str, code: int) -> None:
    sys.stderr.write(f"penstock: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
