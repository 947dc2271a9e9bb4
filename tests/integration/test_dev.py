"""`penstock dev` as a user runs it: start, stop, deaths, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from ..stack import Stack, wait_until

SERVICES = {"ingest", "matcher", "executor", "history", "replayer"}
StartStack = Callable[..., Stack]


@pytest.fixture
def dev(tmp_path: Path, installation: object) -> Iterator[StartStack]:
    """Start `penstock dev` with an embedded broker of its own, as `dev(folder_name, **options)`."""
    started: list[Stack] = []

    def start(name: str = "dev", **options: object) -> Stack:
        stack = Stack(tmp_path / name, bootstrap_servers=None, **options)  # type: ignore[arg-type]
        started.append(stack)
        return stack

    try:
        yield start
    finally:
        for stack in started:
            stack.stop()


def _family(stack: Stack) -> list[psutil.Process]:
    return psutil.Process(stack.pid).children(recursive=True)


def _gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_cold_start_and_one_signal_to_stop(dev: StartStack) -> None:
    """Broker and services are up within ten seconds; SIGINT ends all of them with exit code 0.

    Ten seconds on a machine that is not busy: the bound grows with what else runs on it.
    """
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    began = time.monotonic()
    stack = dev()
    stack.wait_ready()
    seconds = time.monotonic() - began
    assert set(stack.pids()) == SERVICES | {"broker"}
    assert httpx.get(f"{stack.url}/health").status_code == 200
    family = _family(stack)
    stack.send(signal.SIGINT)
    assert stack.wait(30) == 0
    assert _gone(family)
    assert not stack.ready_file.exists()
    assert seconds < 10 * busy, stack.text()


def test_data_is_kept_across_restarts(dev: StartStack) -> None:
    """An event accepted before a restart is still there after it."""
    first = dev()
    first.wait_ready()
    answer = httpx.post(f"{first.url}/e/key", json={"name": "kept/event", "data": {"n": 1}})
    event_id = answer.json()["ids"][0]
    first.send(signal.SIGTERM)
    assert first.wait(30) == 0
    second = dev()
    second.wait_ready()

    def found() -> bool:
        return httpx.get(f"{second.url}/v1/events/{event_id}").status_code == 200

    wait_until(found, 20, second.text)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_killed_service_is_started_again(stack: StartStack, service: str) -> None:
    """After kill -9 another process takes over, the death is shown, and the rest keeps its processes."""
    running = stack()
    before = running.pids()
    running.wait_restarted(service, running.kill(service))
    after = running.pids()
    assert {name for name in before if before[name] != after[name]} == {service}
    assert running.restarts(service) == 1
    (told,) = [line for line in running.text().splitlines() if "was ended by signal 9" in line]
    assert "starting it again" in told


def test_a_killed_broker_is_started_again_on_its_port(dev: StartStack) -> None:
    """Events are accepted again after kill -9 of the broker, at the same address and with the same data."""
    stack = dev()
    stack.wait_ready()
    servers = stack.bootstrap_servers
    stack.wait_restarted("broker", stack.kill("broker"))
    assert stack.bootstrap_servers == servers

    def accepted() -> bool:
        return httpx.post(f"{stack.url}/e/key", json={"name": "after/kill"}, timeout=30).status_code == 200

    wait_until(accepted, 60, stack.text)


def test_kill_9_of_the_supervisor_leaves_nothing(dev: StartStack) -> None:
    """Services, broker and their watches all end when the supervisor is killed."""
    stack = dev()
    stack.wait_ready()
    family = _family(stack)
    assert len(family) == 2 * (len(SERVICES) + 1)
    os.kill(stack.pid, signal.SIGKILL)
    wait_until(lambda: _gone(family), 30, lambda: str([p for p in family if p.is_running()]))


def test_one_dev_per_data_directory(dev: StartStack) -> None:
    """A second one on the same directory ends at once and says who has it."""
    first = dev()
    first.wait_ready()
    second = dev()
    assert second.wait(20) == 2
    assert f"another `penstock dev` (process {first.pid}) is using" in second.text()
    assert first.exit_code() is None


def test_a_taken_port_is_refused_with_what_to_do(dev: StartStack) -> None:
    """The port in use is named, and the flag that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = dev(port=port)
        assert stack.wait(20) == 2
    assert f"port {port} is in use" in stack.text()
    assert "--port" in stack.text()


def test_topics_of_another_shape_end_it_with_the_reason(stack: StartStack) -> None:
    """Services cannot run on topics with another partition count: no endless restarts, but exit and reason."""
    first = stack()
    second = Stack(
        first.data_dir.parent / "other",
        bootstrap_servers=first.bootstrap_servers,
        topic_prefix=first.kafka.topic_prefix,
        environment={"PENSTOCK_RUN_PARTITIONS": "7"},
    )
    try:
        assert second.wait(40) == 1
    finally:
        second.stop()
    assert "has 4 partitions, the settings say 7" in second.text()
    assert "cannot run like this" in second.text()


def test_a_setting_that_cannot_be_used_is_named(dev: StartStack) -> None:
    """A wrong environment variable ends it at once, by name."""
    stack = dev(environment={"PENSTOCK_RUN_PARTITIONS": "many"})
    assert stack.wait(20) == 2
    assert "PENSTOCK_RUN_PARTITIONS" in stack.text()


def test_a_second_signal_ends_everything_at_once(dev: StartStack) -> None:
    """Ctrl-C twice does not wait for a service that hangs."""
    stack = dev()
    stack.wait_ready()
    family = _family(stack)
    stack.kill("history", signal.SIGSTOP)
    stack.send(signal.SIGINT)
    wait_until(lambda: not psutil.pid_exists(stack.pids()["ingest"]), 20, stack.text)
    stack.send(signal.SIGINT)
    assert stack.wait(5) == 0
    assert _gone(family)
