"""How long runs wait when an executor is killed or stopped, what is done twice, and what a restart reads again."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.failover import restore
from penstock.cli.leash import Leashed
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .steps_app import StepsApp
from .test_chaos import Load, finish

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

STEP_SECONDS = 0.15


class TimedApp(StepsApp):
    """A `chain` whose steps take a moment, so that some are always under way; it notes when calls began and ended."""

    def __init__(self) -> None:
        self.calls: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        super().__init__(sleep="1ms")

    async def _call(self, request: Request) -> Response:
        began = time.monotonic()
        number = (await request.json())["event"]["data"]["n"]
        # In the app this is user code at work, and no wait of the test's.
        await asyncio.sleep(STEP_SECONDS)
        answer = await super()._call(request)
        self.calls[number].append((began, time.monotonic()))
        return answer

    def longest_wait(self, since: float) -> float:
        """Of all runs: the longest time behind a moment in which a run that was going on had no call."""
        return max(
            later - max(earlier, since)
            for calls in map(sorted, self.calls.values())
            for (_, earlier), (later, _) in itertools.pairwise(calls)
            if later > since
        )

    def repeated(self) -> dict[object, int]:
        """Steps that were run more than once."""
        return {step: count for step, count in self.executed.items() if count > 1}


@pytest.fixture
def app() -> Iterator[TimedApp]:
    app = TimedApp()
    yield app
    app.stop()


def two_executors(stack: StartStack, app: TimedApp) -> tuple[Stack, Leashed]:
    """A stack, and an executor beside it that owns some of the partitions."""
    running = stack(retry_interval=1)
    app.register(running.url)
    return running, another_executor(running, 0)


def another_executor(running: Stack, number: int) -> Leashed:
    second = running.start_service("executor")
    log = running.data_dir.parent / f"executor-{number}.log"
    wait_until(lambda: log.read_text().count("restored from") >= 2, 60, lambda: log.read_text())
    return second


#: At a load average of eight to a core no wait was seen that took twice what is asked; without a cap, a bound
#: that grows with the load would allow anything just where a slow takeover is most likely.
MOST_BUSY = 2.0


def busy() -> float:
    """1 on a machine with a core for whoever wants to run, or half of one; up to 2 where others have taken it over."""
    return min(max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1))), MOST_BUSY)


def test_runs_of_a_killed_executor_go_on_within_ten_seconds(stack: StartStack, app: TimedApp) -> None:
    """The session timeout is part of it; the longest-waiting run counts."""
    running, second = two_executors(stack, app)
    load = Load(running.url)
    load.wait_accepted(120)
    killed_at = time.monotonic()
    second.send(signal.SIGKILL)
    second.wait(10)
    load.wait_accepted(120)
    finish(running, app, load)
    longest = app.longest_wait(killed_at)
    assert longest > 2.0, "no run of the killed executor was under way: nothing was measured"
    assert longest <= 10.0 * busy()


def test_a_planned_stop_runs_no_step_twice_and_is_hardly_felt(stack: StartStack, app: TimedApp) -> None:
    """Under load an executor is told to end, another one joins and takes partitions over, and is told to end, too."""
    running, second = two_executors(stack, app)
    load = Load(running.url)
    load.wait_accepted(60)
    began = time.monotonic()
    assert second.stop(30) == 0
    load.wait_accepted(60)
    third = another_executor(running, 1)
    load.wait_accepted(60)
    assert third.stop(30) == 0
    load.wait_accepted(60)
    finish(running, app, load)
    assert app.repeated() == {}
    assert app.longest_wait(began) <= 5.0 * busy()


def test_a_restart_reads_only_what_its_own_files_lack(broker: str, topic_prefix: str, tmp_path: Path) -> None:
    """Without files the whole changelog is read; with them what has been written meanwhile, and no more."""
    kafka = KafkaSettings(kafka_bootstrap_servers=broker, topic_prefix=topic_prefix, run_partitions=1)
    rebuilt, reopened = restore(kafka, tmp_path, 30_000)
    assert 30_000 <= rebuilt.records < 30_100
    assert 300 <= reopened.records < 400
