"""`python -m benchmarks.soak --minutes 20`: half of what the server can do, for long, of everything that runs do.

Retention is set to a minute or so, so that ended runs are purged, old events deleted, topics cut and compacted several
times. Every few seconds memory, files, threads, sizes on disk and lags of consumers are taken; in the second half
nothing may grow beyond the bounds that stand here. Exit code 1 when something does, or when runs were lost.
"""

from __future__ import annotations

import argparse
import sqlite3
import stat
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec

from penstock.cli.cluster import Cluster
from penstock.kafka.probe import admin_client
from penstock.settings import KafkaSettings

from . import machine
from .__main__ import _app, _register
from .app import RESUME, event_name
from .growth import Bound, Kind, Series, Verdict, fell, judge, second_half, table
from .stack import StackFailed, penstock_dev

MIB = 1024 * 1024
#: Of a hundred runs, so many are of each function.
MIX = {"one": 40, "three": 25, "sleep": 15, "wait": 10, "retry": 8, "fail": 2}
SECONDS_A_BATCH = 0.25
#: A run is resumed this many batches after it was started: it waits by then, or the event is looked back on.
RESUME_AFTER = 8
SATURATION_RUNS = 3000
SAMPLE_SECONDS = 5.0
DRAIN_SECONDS = 60.0
#: The broker looks at its retention every five minutes; a verdict on topics and on the broker's files and memory needs
#: two such rounds in each half.
MINUTES_FOR_TOPICS = 18.0
ENVIRONMENT = {
    "PENSTOCK_RETENTION_RUN_STATE_SECONDS": "60",
    "PENSTOCK_RETENTION_HISTORY_RUNS_SECONDS": "60",
    "PENSTOCK_RETENTION_HISTORY_EVENTS_SECONDS": "60",
    "PENSTOCK_WAIT_LOOKBACK_WINDOW_SECONDS": "60",
    "PENSTOCK_RETRY_INTERVAL_SECONDS": "1",
}
_SEGMENTS = {"segment.ms": "20000", "segment.bytes": str(16 * MIB), "file.delete.delay.ms": "1000"}
CUT = _SEGMENTS | {"retention.ms": "60000"}
COMPACTED = _SEGMENTS | {"min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "60000"}

#: A mark that its event has started the function stays for a day, in the state and on its topic: that is no leak.
MARK_MB = 250 / MIB
BOUNDS: Mapping[str, tuple[str, Kind, Bound]] = {
    "memory": ("MB", "level", Bound(8, share=0.03)),
    "files": ("", "level", Bound(8)),
    "threads": ("", "level", Bound(4)),
    "state": ("MB", "sawtooth", Bound(24, a_run=MARK_MB)),
    "state files": ("", "sawtooth", Bound(24)),
    "waits": ("MB", "sawtooth", Bound(24)),
    "history": ("MB", "sawtooth", Bound(16, share=0.15)),
    "topic": ("MB", "sawtooth", Bound(24, share=0.15, a_run=MARK_MB)),
    "lag": ("records", "level", Bound(500, share=0.2)),
    "runs under way": ("", "level", Bound(200, share=0.2)),
}


@dataclass
class Sender:
    """Sends batches at fixed times from a thread of its own, whatever the server does meanwhile."""

    url: str
    per_second: float
    first: int
    accepted: int = 0
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        began, sent, waiting = time.monotonic(), 0, list[list[int]]()
        names = [name for name, share in MIX.items() for _ in range(share)]
        with httpx.Client(timeout=60) as client:
            for number in range(1 << 40):
                if self._stop.wait(max(began + number * SECONDS_A_BATCH - time.monotonic(), 0)):
                    break
                due = int((number + 1) * SECONDS_A_BATCH * self.per_second)
                batch = [(names[n * 37 % 100], self.first + n) for n in range(sent, due)]
                sent = due
                waiting.append([n for name, n in batch if name == "wait"])
                resumed = waiting.pop(0) if len(waiting) > RESUME_AFTER else []
                self._send(client, [(event_name(name), n) for name, n in batch], counts=True)
                self._send(client, [(RESUME, n) for n in resumed])
            for left in waiting:
                self._send(client, [(RESUME, n) for n in left])

    def stop(self) -> None:
        self._stop.set()

    def _send(self, client: httpx.Client, events: list[tuple[str, int]], counts: bool = False) -> None:
        if not events:
            return
        body = [{"name": name, "data": {"n": n, "pad": "x" * 200}} for name, n in events]
        try:
            taken = client.post(f"{self.url}/e/bench", json=body).status_code == 200
        except httpx.HTTPError:
            taken = False
        self.accepted += len(events) if taken and counts else 0
        self.refused += 0 if taken else len(events)


def main() -> int:
    """0 when everything is flat and no run was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, help="runs a second; half of a short saturation by default")
    parser.add_argument("--report", type=Path, help="write a Markdown page here")
    parser.add_argument("--log", type=Path, help="keep what the server says here")
    options = parser.parse_args()
    try:
        lines, good = soak(options.minutes, options.rate, options.log)
    except StackFailed as error:
        print(error)
        return 1
    page = "\n".join(lines)
    print(page)
    if options.report is not None:
        options.report.write_text(f"{page}\n", "utf-8")
    return 0 if good else 1


def soak(minutes: float, rate: float | None, log: Path | None) -> tuple[list[str], bool]:
    """The report, and whether all of it is good news."""
    with ExitStack() as things:
        folder = Path(things.enter_context(tempfile.TemporaryDirectory(prefix="penstock-soak-")))
        data = folder / "data"
        stack = things.enter_context(penstock_dev(folder, log or folder / "dev.log", ENVIRONMENT, data))
        app = things.enter_context(_app(0, stack.url))
        place = urlsplit(_register(app))
        control = things.enter_context(httpx.Client(base_url=f"http://{place.netloc}", timeout=30))
        kafka = KafkaSettings(kafka_bootstrap_servers=bootstrap_servers(folder))
        per_second = rate or half_of_saturation(stack.url, control)
        # Only now: what is behind by more than the retention would be deleted unread.
        shorten_retention(kafka)
        before = ended(control)
        print(f"soaking at {per_second:.0f} runs/s", flush=True)
        sender = Sender(stack.url, per_second, before)
        thread = threading.Thread(target=sender.run, daemon=True)
        thread.start()
        pids = dict(stack.pids())
        lags = Lags(Cluster(kafka), admin_client(kafka), data / "history.sqlite3")
        samples = take_samples(minutes * 60, pids, data, lags, lambda: before + sender.accepted - ended(control))
        sender.stop()
        thread.join(DRAIN_SECONDS)
        lost = drained(control, before + sender.accepted)
        restarted = sorted(name for name, pid in stack.pids().items() if pids[name] != pid)
    return report(samples, sender, per_second, minutes, lost, restarted)


def bootstrap_servers(folder: Path) -> str:
    return str(httpx.Response(200, content=(folder / "ready.json").read_bytes()).json()["bootstrap_servers"])


def shorten_retention(kafka: KafkaSettings) -> None:
    """Cut and compact every topic within a minute or so."""
    admin = admin_client(kafka)
    for spec in kafka.topics().specs():
        wanted = COMPACTED if spec.cleanup == "compact" else CUT if spec.cleanup == "delete" else _SEGMENTS
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wanted.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, spec.name, incremental_configs=entries)
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(30)


def half_of_saturation(url: str, control: httpx.Client) -> float:
    """Half of the runs a second of a burst, without what waits on purpose."""
    began = time.monotonic()
    for first in range(0, SATURATION_RUNS, 100):
        events = [
            {"name": event_name("one" if n % 3 else "three"), "data": {"n": n}} for n in range(first, first + 100)
        ]
        httpx.post(f"{url}/e/bench", json=events, timeout=60).raise_for_status()
    if left := drained(control, SATURATION_RUNS):
        raise StackFailed(f"{left:,} of {SATURATION_RUNS:,} runs of the saturation did not end; try a fixed --rate")
    return SATURATION_RUNS / (time.monotonic() - began) / 2


def ended(control: httpx.Client) -> int:
    control.get("/control/forget").raise_for_status()  # when the calls were is not asked, and would pile up
    return int(control.get("/control/ended").content)


def drained(control: httpx.Client, count: int) -> int:
    """Runs that have not ended when for some time none has."""
    total, moved = ended(control), time.monotonic()
    while total < count and time.monotonic() - moved < DRAIN_SECONDS:
        time.sleep(0.2)
        before, total = total, ended(control)
        moved = moved if total == before else time.monotonic()
    return count - total


Samples = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Lags:
    """How far behind every consumer is: groups by the offsets that they have stored, history by its own database.

    A group without members keeps bookmarks, which are no consumption.
    """

    cluster: Cluster
    admin: AdminClient
    database: Path

    def __call__(self) -> Iterator[tuple[str, float]]:
        behind: dict[str, int] = defaultdict(int)
        for lag in self.cluster.lags():
            if lag.owner:
                behind[f"lag of {lag.group} in {lag.topic}"] += lag.behind
        yield from behind.items()
        yield "lag of history", self._of_history()

    def _of_history(self) -> int:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT topic, partition, next_offset FROM penstock_offsets").fetchall()
        asked = {TopicPartition(topic, partition): OffsetSpec.latest() for topic, partition, _ in found}
        ends = {(place.topic, place.partition): end for place, end in self.admin.list_offsets(asked).items()}
        return sum(ends[topic, partition].result(30).offset - offset for topic, partition, offset in found)


def take_samples(
    seconds: float, pids: Mapping[str, int], data: Path, lags: Lags, under_way: Callable[[], float]
) -> Samples:
    samples: Samples = defaultdict(list)
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for name, value in (*of_processes(pids), *of_disk(data), *lags(), ("runs under way", under_way())):
            samples[name].append((now, value))
        time.sleep(SAMPLE_SECONDS)
    return samples


def of_processes(pids: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            yield f"memory of {name}", process.memory_info().rss / MIB
            yield f"files of {name}", process.num_fds()
            yield f"threads of {name}", process.num_threads()
        except psutil.NoSuchProcess:  # it was restarted, which the report says
            continue


def of_disk(data: Path) -> Iterator[tuple[str, float]]:
    sizes: dict[str, float] = defaultdict(float)
    tables = 0
    for path in data.rglob("*"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            continue
        size = found.st_blocks * 512 / MIB
        part = path.relative_to(data).parts
        if part[:2] == ("kafka", "data") and part[2].startswith("penstock."):
            sizes[f"topic {part[2].rpartition('-')[0]}"] += size
        elif part[0] in ("state", "waits"):
            sizes[f"{part[0]} on disk"] += size
            tables += path.suffix == ".sst"
        elif part[0].startswith("history.sqlite3"):
            sizes["history on disk"] += size
    yield from sizes.items()
    yield "state files (SST)", tables


def series(samples: Samples) -> Iterator[Series]:
    """What is judged, with its bound: the longest name in `BOUNDS` that it begins with."""
    for name, points in sorted(samples.items()):
        unit, kind, bound = BOUNDS[max((key for key in BOUNDS if name.startswith(key)), key=len)]
        yield Series(name, unit, kind, bound, tuple(points))


def is_the_brokers(name: str) -> bool:
    return name.startswith("topic") or name.endswith("of broker")


def report(
    samples: Samples, sender: Sender, per_second: float, minutes: float, lost: int, restarted: list[str]
) -> tuple[list[str], bool]:
    every = [one for one in series(samples) if len(second_half(one.points)) >= 4]
    judged = [one for one in every if minutes >= MINUTES_FOR_TOPICS or not is_the_brokers(one.name)]
    verdicts: list[Verdict] = [judge(one, sender.accepted // 2) for one in judged]
    cleared = sum(fell(one.points) for one in every if one.kind == "sawtooth")
    problems = [
        *([f"{lost:,} runs did not end"] if lost else []),
        *([f"{sender.refused:,} events were refused"] if sender.refused else []),
        *([f"restarted meanwhile: {', '.join(restarted)}"] if restarted else []),
    ]
    facts = machine.describe("penstock dev")
    lines = [
        f"# Soak: {minutes:g} minutes at {per_second:.0f} runs/s",
        "",
        f"{sender.accepted:,} runs of a mix of {', '.join(f'{share} % {name}' for name, share in MIX.items())}; "
        f"retention cleared something away {cleared} times. {facts['cores']} cores, Python {facts['Python']}.",
        *([] if judged == every else [f"Topics and the broker are judged from {MINUTES_FOR_TOPICS:g} minutes on."]),
        *(f"**{problem}**" for problem in problems),
        "",
        *table(verdicts),
    ]
    return lines, not problems and bool(verdicts) and all(verdict.flat for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main())
