"""What runs feel when services are killed, stopped and restarted, and how fast a partition's state comes back.

    python -m benchmarks.failover [--phases kill,stop,rolling,restore] [--report benchmarks/failover.md]

Two each of ingest, matcher and executor, one history and one replayer, on a broker of their own, as one would run them
in production: whatever ends is started again by the benchmark, with the files that it left. Half of the events come by
HTTP, to either ingest and then to the other when that one is away; half are written to Kafka as plain JSON. Each starts
a run of three steps, each of which takes a while. What is asked of a fail-over stands in `asked.py`; exit code 1 when
any of it was missed.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
from confluent_kafka import Producer

from penstock.audit.audit import audit
from penstock.cli.ports import free_port
from penstock.executor.arrivals import CommandArrived, RunFact
from penstock.executor.core import PartitionCore
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.kafka import clients
from penstock.kafka.topics import create_topics
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, RunId, run_id
from penstock.messages.records import Function, StartRun
from penstock.runs.facts import CallAnswered
from penstock.runs.replies import parse_reply
from penstock.runs.turn import Rules
from penstock.settings import KafkaSettings
from penstock.state.memory import MemoryStore

from . import asked, machine
from .app import APP, event_name
from .outcome import Kind, Outcome, Restored, gaps_of
from .timings import percentile, timeline
from .trace import Call, Sent, read_calls
from .waits import broker

SERVICES = ("ingest", "matcher", "executor", "history", "replayer")
TWICE = ("ingest", "matcher", "executor")
PHASES = ("kill", "stop", "rolling", "restore")
READY_SECONDS = 60.0
STOP_SECONDS = 40.0
END_SECONDS = 60.0
HTTP_SENDERS = 8
MODEL = FunctionKey(f"{APP}/model")
RESTORED = re.compile(r"partition \d+: restored from (\d+) changelog records in ([\d.]+) s")


class Failed(Exception):
    """Something did not come up, or did not come to its end."""


class Service:
    """One process of a service; its files outlive it."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = folder / "log"
        self.data_dir = folder / "data"
        self._kind = name.partition("-")[0]
        self._environment = os.environ | environment | {"PENSTOCK_DATA_DIR": str(self.data_dir)}
        self._process: subprocess.Popen[bytes] | None = None
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Return when it says that it is ready."""
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "penstock", self._kind]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
        self.wait(lambda: b"ready: " in self.log.read_bytes(), READY_SECONDS)

    def wait(self, condition: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process is not None
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise Failed(f"{self.name}:\n{self.log.read_text('utf-8', 'replace')[-4000:]}")
            time.sleep(0.01)

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signal it and wait for its end; how many seconds that took."""
        if self._process is None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise Failed(f"{self.name} did not end:\n{self.log.read_text('utf-8', 'replace')[-4000:]}") from None
        self._process = None
        return time.monotonic() - began


@dataclass(slots=True)
class Installation:
    """All services on topics of their own."""

    kafka: KafkaSettings
    services: dict[str, Service]
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def data_dirs(self) -> list[Path]:
        """Where there are local stores, also those of partitions that have moved on."""
        return [each.data_dir for name, each in self.services.items() if name.startswith(("executor", "matcher"))]


@contextmanager
def installation(kafka: KafkaSettings, folder: Path) -> Iterator[Installation]:
    """Start everything; end it afterwards, whatever happened."""
    create_topics(kafka)
    ports = tuple(free_port() for _ in range(2))
    services: dict[str, Service] = {}
    for kind, number in itertools.product(SERVICES, (1, 2)):
        if number == 1 or kind in TWICE:
            name = f"{kind}-{number}"
            services[name] = Service(name, folder / name, _environment(kafka, ports[number - 1], folder))
    try:
        for service in services.values():
            service.start()
        yield Installation(kafka, services, ports)
    finally:
        for service in reversed(services.values()):
            service.end(signal.SIGKILL)


def _environment(kafka: KafkaSettings, port: int, folder: Path) -> dict[str, str]:
    return {
        "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "PENSTOCK_TOPIC_PREFIX": kafka.topic_prefix,
        "PENSTOCK_RUN_PARTITIONS": str(kafka.run_partitions),
        "PENSTOCK_PORT": str(port),
        "PENSTOCK_MODE": "dev",
        "PENSTOCK_DISCOVER_APPS": "false",
        "PENSTOCK_HISTORY_DATABASE_URL": f"sqlite:///{folder / 'history.db'}",
    }


class Load:
    """Sends events at an even rate until stopped, every other one by HTTP; what is refused is sent again."""

    def __init__(self, installed: Installation, rate: float, first: int) -> None:
        self._rate = rate
        self._ports = installed.ports
        self._topic = installed.kafka.topics().events
        self._producer = Producer(clients.producer(installed.kafka, "benchmark"))
        self._numbers = itertools.count(first)
        self._first = first
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = time.monotonic_ns()
        self.sent: list[Sent] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(HTTP_SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Sent]:
        self._stop.set()
        for thread in self._threads:
            thread.join(END_SECONDS)
        self._producer.flush(END_SECONDS)
        return self.sent

    def _work(self) -> None:
        connections = {port: http.client.HTTPConnection("127.0.0.1", port, timeout=15) for port in self._ports}
        while True:
            with self._lock:
                number = next(self._numbers)
            due = self._began + int((number - self._first) / self._rate * 1e9)
            if self._stop.wait(max(due - time.monotonic_ns(), 0) / 1e9):
                return
            sent = time.monotonic_ns()
            event = {"name": event_name("three"), "id": f"failover-{number}", "data": {"n": number}}
            if number % 2:
                self._post(connections, number, orjson.dumps(event))
            else:
                self._producer.produce(self._topic, orjson.dumps(event), str(number).encode())
                self._producer.poll(0)
            self.sent.append(Sent(number, due, sent, time.monotonic_ns(), 200))

    def _post(self, connections: dict[int, http.client.HTTPConnection], number: int, body: bytes) -> None:
        """Ask one ingest after the other until one has taken it, as a load balancer would."""
        ports = itertools.cycle(self._ports[number // 2 % 2 :] + self._ports[: number // 2 % 2])
        for attempt, port in enumerate(ports):
            connection = connections[port]
            try:
                connection.request("POST", "/e/bench", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    return
            except (OSError, http.client.HTTPException):
                connection.close()
            time.sleep(0.0 if attempt == 0 else 0.05)


class Bench:
    """Phases on one installation."""

    def __init__(self, installed: Installation, app: str, rate: float, calm_seconds: float) -> None:
        self._installed = installed
        self._app = app
        self._rate = rate
        self._calm_seconds = calm_seconds
        self._next = 0

    def warm_up(self) -> None:
        self._measure("warm-up", "warm-up", lambda outcome: time.sleep(5))

    def kill(self) -> Outcome:
        """kill -9 of one of two executors; it comes back when its runs have gone on elsewhere."""
        return self._measure(
            "kill", "kill -9 of an executor", lambda outcome: self._ended(outcome, signal.SIGKILL, 12.0)
        )

    def stop(self) -> Outcome:
        """SIGTERM of one of two executors; it comes back a little later."""
        return self._measure(
            "stop", "SIGTERM of an executor", lambda outcome: self._ended(outcome, signal.SIGTERM, 5.0)
        )

    def rolling(self) -> Outcome:
        """Every process is restarted, one after the other."""

        def work(outcome: Outcome) -> None:
            for name in self._installed.services:
                self._restart(outcome, name, signal.SIGTERM, 0.0)

        return self._measure("rolling", "rolling restart", work)

    def _ended(self, outcome: Outcome, number: signal.Signals, away_seconds: float) -> None:
        self._restart(outcome, "executor-1", number, away_seconds)

    def _restart(self, outcome: Outcome, name: str, number: signal.Signals, away_seconds: float) -> None:
        service, began = self._installed.services[name], time.monotonic_ns()
        stopping = service.end(number)
        time.sleep(away_seconds)
        returned = time.monotonic_ns()
        if away_seconds:
            outcome.moments.append((f"{name} ends", began, returned))
            began = returned
        service.start()
        # Kubernetes, too, waits for a while before it goes on to the next.
        time.sleep(self._calm_seconds / 2)
        what = f"{name} comes back" if away_seconds else f"{name} (ended in {stopping:.1f} s)"
        outcome.moments.append((what, began, time.monotonic_ns()))

    def _measure(self, kind: Kind, name: str, work: Callable[[Outcome], None]) -> Outcome:
        outcome = Outcome(kind, name)
        self._calls()
        load, began = Load(self._installed, self._rate, self._next), time.monotonic_ns()
        time.sleep(self._calm_seconds)
        outcome.moments.append(("before", began, time.monotonic_ns()))
        work(outcome)
        calm = time.monotonic_ns()
        time.sleep(self._calm_seconds)
        outcome.moments.append(("after", calm, time.monotonic_ns()))
        sent = load.stop()
        self._next += len(sent) + HTTP_SENDERS
        self._wait_ended(len(sent))
        self._judge(outcome, sent, self._calls())
        return outcome

    def _judge(self, outcome: Outcome, sent: Sequence[Sent], calls: Sequence[Call]) -> None:
        seen = timeline(sent, calls)
        outcome.runs, outcome.lost, outcome.repeated = len(sent), len(sent) - seen.ended, seen.repeated_calls
        outcome.gaps = [gap for run in seen.runs for gap in gaps_of(run)]
        found = audit(self._installed.kafka, self._installed.data_dirs(), lambda _: None)
        outcome.findings, outcome.stored_records = list(found.lines()), found.checked["stored records"]

    def _wait_ended(self, count: int) -> None:
        deadline = time.monotonic() + END_SECONDS
        while int(httpx.get(f"{self._app}/control/ended", timeout=60).text) < count and time.monotonic() < deadline:
            time.sleep(0.05)

    def _calls(self) -> list[Call]:
        return read_calls(httpx.get(f"{self._app}/control/calls", timeout=60).content)


def restore(kafka: KafkaSettings, folder: Path, records: int) -> list[Restored]:
    """One partition with this many changelog records, opened without local files, then with them and a little more."""
    create_topics(kafka)
    service = Service("executor-restore", folder / "restore", _environment(kafka, 0, folder))
    found = []
    try:
        for what, more in (("no local files", records), ("local files kept, 1% more", records // 100)):
            fill_changelog(kafka, more)
            began = time.monotonic()
            service.start()
            service.wait(lambda: RESTORED.search(service.log.read_text("utf-8", "replace")), 600)
            ready = time.monotonic() - began
            said = RESTORED.search(service.log.read_text("utf-8", "replace"))
            assert said is not None
            found.append(Restored(what, more, int(said[1]), float(said[2]), ready))
            service.end()
    finally:
        service.end(signal.SIGKILL)
    return found


def fill_changelog(kafka: KafkaSettings, records: int) -> None:
    """Write what an executor writes for runs of three steps: nine of ten have ended, the tenth sleeps."""
    producer = Producer(clients.producer(kafka, "benchmark") | {"linger.ms": 20})
    topic, written = kafka.topics().run_state, 0
    now = time.time_ns() // 1_000_000
    model = run_id(MODEL, "model", now)
    ended, asleep = _changelog_of(model, now, ends=True), _changelog_of(model, now, ends=False)
    for number in itertools.count():
        if written >= records:
            break
        run = run_id(MODEL, f"{records}-{number}", now).encode()
        for key, value in asleep if number % 10 == 0 else ended:
            _produce(producer, topic, _named(key, model, run), None if value is None else _named(value, model, run))
            written += 1
    producer.flush(60)


def _named(text: bytes, model: RunId, run: bytes) -> bytes:
    return text.replace(model.encode(), run)


def _produce(producer: Producer, topic: str, key: bytes, value: bytes | None) -> None:
    while True:
        try:
            producer.produce(topic, value, key, 0)
            return
        except BufferError:
            producer.poll(0.1)


def _changelog_of(run: RunId, now: int, ends: bool) -> list[tuple[bytes, bytes | None]]:
    """Every record of a run, as the executor's own core decides them."""
    codec, state = Codec(), MemoryStore().open(0)
    core = PartitionCore(0, 1, state, _table(now), codec, Rules(None, 24 * 3_600_000), 10)
    event = orjson.dumps({"name": "bench/three", "id": "e", "data": {"n": 1, "pad": "x" * 200}}).decode()
    pairs: list[tuple[bytes, bytes | None]] = []

    def take(arrival: CommandArrived | RunFact) -> None:
        draft = core.take([arrival], now)
        core.settle(draft, len(pairs), now)
        pairs.extend(draft.records.items())

    take(CommandArrived(0, StartRun(run, MODEL, (event,), ("e",), now)))
    for body in _answers(ends):
        found = core.runs.load(run)
        assert found is not None
        job = next(iter(found.jobs.values()))
        headers = {"x-inngest-sdk": "py:v0.5.0", "x-inngest-req-version": "2"}
        status = 206 if body.startswith(b"[") else 200
        take(RunFact(run, CallAnswered(job.job_id, job.attempt, parse_reply(status, headers, body, now))))
    return pairs


def _table(now: int) -> FunctionTable:
    table = FunctionTable()
    config = FunctionConfig(MODEL, APP, "model", "model", "http://app", (EventTrigger("bench/three"),), 4)
    table.apply(Function(MODEL, APP, "model", "model", 1, config.to_json(), now), 0)
    return table


def _answers(ends: bool) -> Iterator[bytes]:
    for number in range(3):
        data = {"step": number, "pad": "x" * 200}
        yield orjson.dumps([{"op": "StepRun", "id": f"{number:040x}", "displayName": f"step-{number}", "data": data}])
    nap = {"op": "Sleep", "id": f"{9:040x}", "displayName": "nap", "name": "30d"}
    yield b'"done"' if ends else orjson.dumps([nap])


@contextmanager
def _app(server: str, delay_ms: float) -> Iterator[str]:
    """The app, registered; its address without a path."""
    command = [sys.executable, "-m", "benchmarks.app", "--server", server, "--delay-ms", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answered = httpx.put(url, json={"url": url}, timeout=30)
        if answered.status_code != 200:
            raise Failed(f"the app was refused: {answered.text}")
        yield url.removesuffix("/api/inngest")
    finally:
        process.terminate()
        process.wait()


def markdown(
    outcomes: Sequence[Outcome], restores: Sequence[Restored], found: Sequence[asked.Answer], command: str
) -> str:
    """The report."""
    lines = ["# Fail-over", "", "```", command, "```", "", *asked.table(found), ""]
    lines += ["| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.describe("two of each service").items()]
    lines += ["", f"load average at the end: {os.getloadavg()[0]:.1f}"]
    for outcome in outcomes:
        lines += ["", *_section(outcome)]
    if restores:
        lines += ["", "## Restore of one partition", ""]
        lines += [
            "| | changelog records read | s | records/s | from the process's start, s |",
            "|---|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {each.what} | {each.records:,} | {each.seconds:.2f} | {each.a_second:,.0f} | {each.ready_seconds:.2f} |"
            for each in restores
        ]
    return "\n".join([*lines, "", EXPLANATION, ""])


def _section(outcome: Outcome) -> list[str]:
    said = f"{outcome.runs} runs, {outcome.lost} lost, {outcome.repeated} calls repeated; audit: "
    lines = [f"## {outcome.name}", "", said + ("clean" if not outcome.findings else "; ".join(outcome.findings)), ""]
    lines += ["| | s | p50 ms | p99 ms | max ms | longest wait after it, s |", "|---|---:|---:|---:|---:|---:|"]
    for place, (what, begin, end) in enumerate(outcome.moments):
        found = outcome.spread_in(place)
        if found is not None:
            numbers = f"{found.p50:.0f} | {found.p99:.0f} | {found.max:.0f} | {outcome.longest_after(place):.2f} |"
            lines.append(f"| {what} | {(end - begin) / 1e9:.1f} | {numbers}")
    felt = sorted(gap.after(outcome.moments[1][1]) / 1e9 for gap in outcome.gaps_in(1))
    felt = [seconds for seconds in felt if seconds > 1.0]
    if felt:
        shares = ", ".join(f"p{share} {percentile(felt, share):.1f} s" for share in (10, 50, 90, 100))
        lines += ["", f"{len(felt)} calls came more than a second late in the first of these: {shares}."]
    return lines


EXPLANATION = """\
A run waits from the moment its event is due, or a step is answered, until its next call is there. A row has all waits
that touch its time, the first and the last those that lie in it. *Repeated*: a step called again, which only a kill may
cause. Restores are as the executor logs them: fetching, folding and writing to RocksDB."""


def main() -> int:
    """Measure, print the report, and write it where `--report` says; 0 when all that is asked was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phases", type=_phases, default=PHASES, help=f"some of {','.join(PHASES)}")
    parser.add_argument("--rate", type=float, default=60.0, help="events a second")
    parser.add_argument("--delay-ms", type=float, default=100.0, help="how long each step takes")
    parser.add_argument("--calm-seconds", type=float, default=8.0, help="before and after")
    parser.add_argument("--restore-records", type=int, default=1_000_000)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    restores: list[Restored] = []
    failed = ""
    try:
        _measure(options, outcomes, restores)
    except (Failed, httpx.HTTPError) as error:
        print(failed := f"{type(error).__name__}: {error}")
    found = asked.answers(outcomes, restores)
    if failed:
        found.insert(0, asked.Answer("all phases", "are measured", failed.splitlines()[0], False))
    report = markdown(outcomes, restores, found, shlex.join(["python", "-m", "benchmarks.failover", *sys.argv[1:]]))
    if options.report is not None:
        options.report.write_text(report, "utf-8")
    print(report)
    return 0 if all(answer.good for answer in found) else 1


def _measure(options: argparse.Namespace, outcomes: list[Outcome], restores: list[Restored]) -> None:
    """Add what was measured, phase by phase: of a benchmark that breaks off the rest is known."""
    with ExitStack() as things:
        servers = things.enter_context(broker())
        folder = Path(things.enter_context(tempfile.TemporaryDirectory()))
        if "restore" in options.phases:
            kafka = KafkaSettings(kafka_bootstrap_servers=servers, topic_prefix="restore.", run_partitions=1)
            restores += restore(kafka, folder, options.restore_records)
            print(*restores, sep="\n", flush=True)
        if set(options.phases) - {"restore"}:
            kafka = KafkaSettings(kafka_bootstrap_servers=servers, topic_prefix="failover.")
            installed = things.enter_context(installation(kafka, folder))
            app = things.enter_context(_app(installed.url, options.delay_ms))
            bench = Bench(installed, app, options.rate, options.calm_seconds)
            bench.warm_up()
            for name in (name for name in PHASES[:-1] if name in options.phases):
                outcomes.append(getattr(bench, name)())
                print("\n".join(_section(outcomes[-1])), flush=True)


def _phases(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PHASES):
        raise argparse.ArgumentTypeError(f"no such phase: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
