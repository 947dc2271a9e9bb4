"""The matcher as a process: waits for Kafka, runs the Faust worker, ends on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable

from ..kafka.probe import wait_for_kafka
from ..settings import KafkaSettings, MatcherSettings

log = logging.getLogger(__name__)


def run(settings: MatcherSettings, kafka: KafkaSettings, ready: Callable[[str], None]) -> None:
    """Match events until told to stop; must be called in the main thread.

    Ends with an error (exit status 1) when Kafka does not take a record for a minute, or when the worker fails:
    nothing that was read is then acknowledged, and the next start reads it again.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(wait_for_kafka(kafka, log.warning))
    _work(settings, kafka, ready)


def _work(settings: MatcherSettings, kafka: KafkaSettings, ready: Callable[[str], None]) -> None:
    _use_fast_loop()
    from faust import Worker  # heavy: only the process that matches pays for it

    from .app import build_app

    topics = kafka.topics()
    told = f"matcher: reads {topics.events} and {topics.internal_events}, starts runs on {topics.run_steps}"
    app = build_app(settings, kafka, lambda: ready(told))
    worker = Worker(app, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.execute_from_commandline()


def _use_fast_loop() -> None:
    """uvloop where there is one: Faust makes its loops itself, and spends a third less on them."""
    if sys.platform != "win32":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
