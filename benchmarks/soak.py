"""`python -m benchmarks.soak --minutes 20`: half of what the server can do, for long, of everything that runs do.

Retention is set to a minute or so, so that ended runs are purged, old events deleted, topics cut and compacted several
times. Every few seconds memory, files, threads, sizes on disk and lags of consumers are taken; in the second half
nothing may grow beyond the bounds that stand here. After the load nothing runs any more, and files, connections,
threads and memory must come back to where they were before it (`rest.py`); then everything is audited, local stores
included. Exit code 1 when something has grown, is left over, was lost or was not measured.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sqlite3
import stat
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec

from penstock.audit.audit import audit
from penstock.audit.findings import Findings
from penstock.cli.cluster import Cluster
from penstock.errors import Unavailable
from penstock.kafka.probe import admin_client
from penstock.settings import KafkaSettings

from . import machine, rest
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
#: After so long something must have been cleared away, or the soak shows nothing about what is.
MINUTES_TO_CLEAR = 8.0
MIN_POINTS = 4
#: Idle connections to apps close after four seconds, those of a client library to the broker are kept.
CALM_SECONDS = 10.0
#: The longest that files and memory may take to come back; the broker's do with its next round of retention.
COOL_DOWN_SECONDS = 60.0
BROKER_COOL_DOWN_SECONDS = 420.0
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
    #: Segments of topics, which rounds of retention close.
    "files of broker": ("", "sawtooth", Bound(24, share=0.15)),
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
        # With ids of their own: the marks they leave tell the audit of runs that are long purged.
        body = [{"name": name, "id": f"{name}-{n}", "data": {"n": n, "pad": "x" * 200}} for name, n in events]
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
    command = shlex.join(["python", "-m", "benchmarks.soak", *sys.argv[1:]])
    page = "\n".join([lines[0], "", "```", command, "```", *lines[1:]])
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
        first = ended(control)
        pids = dict(stack.pids())
        time.sleep(CALM_SECONDS)
        before = dict(of_processes(pids))
        print(f"soaking at {per_second:.0f} runs/s", flush=True)
        sender = Sender(stack.url, per_second, first)
        thread = threading.Thread(target=sender.run, daemon=True)
        thread.start()
        lags = Lags(Cluster(kafka), admin_client(kafka), data / "history.sqlite3")
        samples = take_samples(minutes * 60, pids, data, lags, lambda: first + sender.accepted - ended(control))
        sender.stop()
        thread.join(DRAIN_SECONDS)
        lost = drained(control, first + sender.accepted)
        print("cooling down", flush=True)
        left = cool_down(pids, before, samples, minutes)
        restarted = sorted(name for name, pid in stack.pids().items() if pids[name] != pid)
        print("auditing", flush=True)
        audited = audit(kafka, [data], lambda _: None)
    return report(samples, sender, per_second, minutes, Ending(lost, tuple(restarted), tuple(left), audited))


@dataclass(frozen=True, slots=True)
class Ending:
    """What was found after the load."""

    lost: int
    restarted: tuple[str, ...]
    left: tuple[rest.AtRest, ...]
    audited: Findings

    def problems(self) -> Iterator[str]:
        if self.lost:
            yield f"{self.lost:,} runs did not end"
        if self.restarted:
            yield f"restarted meanwhile: {', '.join(self.restarted)}"
        for kind in ("memory", "files", "connections", "threads"):
            if not any(one.name.startswith(kind) for one in self.left):
                yield f"{kind} after the load: not measured"
        for rule, count in self.audited.breaches.items():
            yield f"audit, {rule}: {count:,}, the first: {next(f for f in self.audited.kept if f.rule == rule)}"
        for what in ("changelog records", "starts", "stored records"):
            if not self.audited.checked[what]:
                yield f"the audit has looked at no {what}"


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
    measures: tuple[Callable[[], Iterable[tuple[str, float]]], ...] = (
        lambda: of_processes(pids),
        lambda: of_disk(data),
        lags,
        lambda: [("runs under way", under_way())],
    )
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for measure in measures:
            try:
                for name, value in measure():
                    samples[name].append((now, value))
            except (Unavailable, KafkaException, httpx.HTTPError) as error:
                print(f"a sample is missing: {error}", flush=True)
        time.sleep(SAMPLE_SECONDS)
    return samples


def cool_down(pids: Mapping[str, int], before: rest.Level, samples: Samples, minutes: float) -> list[rest.AtRest]:
    """How things are when all is as before the load, or when that has taken too long."""
    whole = minutes >= MINUTES_FOR_TOPICS
    judged = {name: value for name, value in before.items() if whole or not is_the_brokers(name)}
    load = {name: [value for _, value in points] for name, points in samples.items()}
    deadline = time.monotonic() + (BROKER_COOL_DOWN_SECONDS if whole else COOL_DOWN_SECONDS)
    time.sleep(CALM_SECONDS)
    while True:
        found = list(rest.compare(judged, load, dict(of_processes(pids))))
        if all(one.gone for one in found) or time.monotonic() > deadline:
            return found
        time.sleep(SAMPLE_SECONDS)


def of_processes(pids: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Connections are counted apart from other files: how many there are follows what is going on."""
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            connections = len(process.net_connections("tcp"))
            yield f"memory of {name}", process.memory_info().rss / MIB
            yield f"files of {name}", process.num_fds() - connections
            yield f"connections of {name}", connections
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
    """What is judged, with its bound: the longest name in `BOUNDS` that it begins with. Connections: see `rest.py`."""
    for name, points in sorted(samples.items()):
        if key := bound_of(name):
            unit, kind, bound = BOUNDS[key]
            yield Series(name, unit, kind, bound, tuple(points))


def bound_of(name: str) -> str:
    """Which of `BOUNDS` holds for what is called so; empty for none."""
    return max((key for key in BOUNDS if name.startswith(key)), key=len, default="")


def is_the_brokers(name: str) -> bool:
    return name.startswith("topic") or name.endswith("of broker")


def not_measured(every: Sequence[Series], minutes: float) -> Iterator[str]:
    """What has a bound and nothing that it could be held against."""
    for name in BOUNDS:
        if not any(bound_of(one.name) == name for one in every):
            yield f"{name}: not measured"
    for one in every:
        if len(second_half(one.points)) < MIN_POINTS:
            yield f"{one.name}: measured only {len(one.points)} times"
    if minutes >= MINUTES_TO_CLEAR and not cleared(every):
        yield "retention has cleared nothing away"


def cleared(every: Iterable[Series]) -> int:
    """How often much of something was cleared away on disk."""
    return sum(fell(one.points) for one in every if one.kind == "sawtooth" and not one.name.startswith("files"))


def report(
    samples: Samples, sender: Sender, per_second: float, minutes: float, ending: Ending
) -> tuple[list[str], bool]:
    every = list(series(samples))
    whole = minutes >= MINUTES_FOR_TOPICS
    judged = [
        one for one in every if len(second_half(one.points)) >= MIN_POINTS and (whole or not is_the_brokers(one.name))
    ]
    verdicts: list[Verdict] = [judge(one, sender.accepted // 2) for one in judged]
    problems = [
        *([f"{sender.refused:,} events were refused"] if sender.refused else []),
        *([] if sender.accepted else ["no event was accepted"]),
        *not_measured(every, minutes),
        *ending.problems(),
    ]
    grown = [verdict.series.name for verdict in verdicts if not verdict.flat]
    left = [one.name for one in ending.left if not one.gone]
    bad = [
        *problems,
        *([f"grows: {', '.join(grown)}"] if grown else []),
        *([f"left: {', '.join(left)}"] if left else []),
    ]
    facts = machine.describe("penstock dev")
    looked = ", ".join(f"{count:,} {what}" for what, count in sorted(ending.audited.checked.items()))
    lines = [
        f"# Soak: {minutes:g} minutes at {per_second:.0f} runs/s",
        "",
        *([f"**Verdict: bad.** {'; '.join(bad)}."] if bad else ["**Verdict: good.**"]),
        "",
        f"{sender.accepted:,} runs of a mix of {', '.join(f'{share} % {name}' for name, share in MIX.items())}; "
        f"retention cleared something away {cleared(every)} times. {facts['cores']} cores, "
        f"Python {facts['Python']}, load average at the end {os.getloadavg()[0]:.1f}.",
        *([] if whole else [f"Topics and the broker are judged from {MINUTES_FOR_TOPICS:g} minutes on."]),
        f"The audit afterwards looked at {looked or 'nothing'}.",
        "",
        "## Under load",
        "",
        *table(verdicts),
        "",
        "## When nothing runs any more",
        "",
        *rest.table(ending.left),
    ]
    return lines, not bad and bool(verdicts)


if __name__ == "__main__":
    sys.exit(main())
