"""Disk and memory run out under a service at work: it says so, nothing is damaged or lost, and it goes on."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from penstock.audit.audit import audit
from tests.conftest import StartStack
from tests.small_disk import SmallDisk
from tests.stack import Stack, wait_until

from .changelog_audit import audit as audit_changelog
from .steps_app import StepsApp
from .waits_app import EVENT, WaitsApp

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

RUNS = 40
MAKE_ROOM = "the disk is full: make room for"
#: What the limit leaves to a service that is at rest, and what each of many events brings.
HEADROOM = 1 << 20
PAD = "x" * (1 << 20)
SENDERS = 8
A_SERVICE = 16


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk", 48)
    yield disk
    disk.close()


@pytest.fixture
def steps() -> Iterator[StepsApp]:
    app = StepsApp()
    yield app
    app.stop()


@pytest.fixture
def waits() -> Iterator[WaitsApp]:
    app = WaitsApp()
    yield app
    app.stop()


def on_disk(disk: SmallDisk, tmp_path: Path, *names: str) -> None:
    """These folders of the first stack's data directory lie on the small disk."""
    data = tmp_path / "stack-0" / "data"
    data.mkdir(parents=True)
    for name in names:
        (disk.path / name).mkdir(mode=0o777)
        (data / name).symlink_to(disk.path / name, target_is_directory=True)


def send(running: Stack, name: str, numbers: range, pad: str = "") -> None:
    """All of these events are accepted; each is sent until it is."""
    with httpx.Client(timeout=30) as client:
        for n in numbers:
            event = {"name": name, "id": f"{name}-{n}", "data": {"n": n, "pad": pad}}
            wait_until(lambda event=event: accepts(client, running, event), 60, running.text)  # type: ignore[misc]


def send_at_once(running: Stack, name: str, numbers: range, pad: str) -> None:
    """As `send`, but several at a time."""
    with ThreadPoolExecutor(SENDERS) as senders:
        for sent in [senders.submit(send, running, name, range(n, n + 1), pad) for n in numbers]:
            sent.result()


def accepts(client: httpx.Client, running: Stack, event: dict[str, object]) -> bool:
    try:
        return client.post(f"{running.url}/e/key", json=event).status_code == 200
    except httpx.TransportError:
        return False


def wait_said(running: Stack, text: str, since: int = 0) -> None:
    wait_until(lambda: text in running.text()[since:], 60, lambda: f"{text!r}\n{running.text()[-6000:]}")


def wait_returned(running: Stack, returned: Callable[[], int], count: int) -> None:
    wait_until(lambda: returned() >= count, 90, lambda: f"{returned()} of {count} runs ended\n{running.text()[-6000:]}")
    wait_until(lambda: len(audit_changelog(running.kafka).ended) >= count, 30, "the ends in the changelog")


def assert_clean(running: Stack) -> None:
    """The topics are as they must be, and so is the executor's local state."""
    assert list(audit(running.kafka, [running.data_dir], lambda _: None).lines()) == []


def shown_in_history(running: Stack) -> int:
    answer = httpx.get(f"{running.url}/v1/runs", params={"status": "COMPLETED", "limit": 100}, timeout=30)
    return len(answer.json()["data"]) if answer.status_code == 200 else 0


def test_a_full_disk_below_an_executor(disk: SmallDisk, stack: StartStack, steps: StepsApp, tmp_path: Path) -> None:
    """It says what to do, its partitions wait, and go on by themselves when there is room; each run ends once."""
    on_disk(disk, tmp_path, "state")
    running = stack(retry_interval=1)
    steps.register(running.url)
    send(running, "chaos/start", range(RUNS))
    disk.fill()
    send(running, "chaos/start", range(RUNS, 2 * RUNS))
    wait_said(running, MAKE_ROOM)
    assert len(steps.returned) < 2 * RUNS
    disk.give_back()
    wait_returned(running, lambda: len(steps.returned), 2 * RUNS)
    assert running.restarts("executor") == 0
    assert_clean(running)


def test_a_full_disk_below_a_matcher(disk: SmallDisk, stack: StartStack, waits: WaitsApp, tmp_path: Path) -> None:
    """It says what to do; functions start meanwhile, and waits that were registered or met are made good for."""
    on_disk(disk, tmp_path, "waits")
    running = stack(retry_interval=1)
    waits.register(running.url)
    send(running, "storm/start", range(RUNS))
    wait_until(lambda: len(waits.waiting) == RUNS, 60, running.text)
    disk.fill()
    send(running, "storm/start", range(RUNS, 2 * RUNS))
    wait_said(running, MAKE_ROOM)
    wait_until(lambda: len(waits.waiting) == 2 * RUNS, 60, running.text)
    for _ in ("first", "second"):
        send(running, EVENT, range(2 * RUNS))
    disk.give_back()
    again = iter(range(2 * RUNS, 1 << 20))
    with httpx.Client(timeout=30) as client:

        def all_returned() -> bool:
            missing = [n for n in range(2 * RUNS) if n not in waits.returned]
            for n in missing:
                accepts(client, running, {"name": EVENT, "id": f"again-{next(again)}", "data": {"n": n}})
            return not missing

        wait_until(all_returned, 90, lambda: f"{len(waits.returned)}\n{running.text()[-6000:]}")
    wait_returned(running, lambda: len(waits.returned), 2 * RUNS)
    assert_clean(running)


def test_a_full_disk_below_history(disk: SmallDisk, stack: StartStack, steps: StepsApp) -> None:
    """It says what to do; runs go on without it, and all of them are shown when there is room."""
    database = f"sqlite:///{disk.folder}/history.sqlite3"
    running = stack(retry_interval=1, environment={"PENSTOCK_HISTORY_DATABASE_URL": database}, within=disk.within)
    steps.register(running.url)
    send(running, "chaos/start", range(RUNS))
    disk.fill()
    send(running, "chaos/start", range(RUNS, 2 * RUNS), PAD[: 256 << 10])
    wait_said(running, MAKE_ROOM)
    wait_returned(running, lambda: len(steps.returned), 2 * RUNS)
    assert shown_in_history(running) < 2 * RUNS
    disk.give_back()
    wait_until(lambda: shown_in_history(running) == 2 * RUNS, 60, lambda: f"{running.text()[-6000:]}")
    assert running.restarts("history") == 0
    assert_clean(running)


def test_a_memory_limit(stack: StartStack, steps: StepsApp) -> None:
    """A service that gets no memory says so, ends, and is started again; nothing that was accepted is lost."""
    running = stack(retry_interval=1)
    steps.register(running.url)
    for place, service in enumerate(("ingest", "matcher", "executor", "history")):
        send(running, "chaos/start", range(place * A_SERVICE, place * A_SERVICE + 3))
        wait_returned(running, lambda place=place: len(steps.returned), place * A_SERVICE + 3)  # type: ignore[misc]
        since = len(running.text())
        without_memory(running, service)
        send_at_once(running, "chaos/start", range(place * A_SERVICE + 3, (place + 1) * A_SERVICE), PAD)
        wait_until(lambda service=service: running.restarts(service) >= 1, 60, running.text)  # type: ignore[misc]
        wait_said(running, "memory", since)
        wait_returned(running, lambda: len(steps.returned), (place + 1) * A_SERVICE)
    wait_until(lambda: shown_in_history(running) == 4 * A_SERVICE, 60, lambda: f"{running.text()[-6000:]}")
    assert [running.restarts(name) for name in ("ingest", "matcher", "executor", "history")] == [1] * 4
    assert_clean(running)


def without_memory(running: Stack, service: str) -> None:
    """From now on the process gets hardly more from the system; the one that follows it is not limited.

    What counts is memory that can be written (RLIMIT_DATA): of addresses (RLIMIT_AS), threads reserve 64 MB at a time.
    """
    pid = running.pids()[service]
    limit = psutil.Process(pid).memory_info().data + HEADROOM
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
