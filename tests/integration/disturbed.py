"""All services as real processes, with a line of its own between each of them and Kafka, and one to the app.

Nothing supervises the processes: one that ends stays away, and the test sees it.
"""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._group import MemberDescription
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.audit.audit import audit as audit_topics
from penstock.cli.broker.installation import Installation
from penstock.cli.broker.server import BrokerPlace, Door, EmbeddedBroker
from penstock.cli.leash import Leashed
from penstock.cli.ports import free_port
from penstock.kafka import clients
from penstock.kafka.topics import create_topics
from penstock.settings import KafkaSettings
from penstock.web import EmbeddedServer
from tests.relay import Relay
from tests.stack import STOP_SECONDS, wait_until

from .changelog_audit import audit
from .steps_app import HEADERS, step_id

READY_SECONDS = 60.0
#: How long ingest lets a sender wait for Kafka, and the executor an app for its answer.
KAFKA_TIMEOUT_SECONDS = 2.0
CALL_TIMEOUT_SECONDS = 3.0
EXECUTORS = ("executor", "other-executor")
#: More than fits the connection's first packet beside the head of the reply.
PADDING = "p" * 2000


class PatientApp:
    """Serves functions `s0`, a sleep, a wait for `net/go` with the run's `n`, `s1`; each returns its `n`.

    `waiting` gets each `n` that comes to its wait, `calls` has the attempt of every call by (n, step).
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.waiting: queue.Queue[int] = queue.Queue()
        self.calls: dict[tuple[int, str], list[int]] = {}
        self.returned: Counter[int] = Counter()
        routes = [Route("/{app}", self._call, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="warning", lifespan="off")
        self._server = EmbeddedServer(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _call(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        n, done, attempt = body["event"]["data"]["n"], body["steps"], body["ctx"]["attempt"]
        if step_id("s0") not in done:
            return self._run(n, "s0", attempt)
        if step_id("nap") not in done:
            return self._op({"op": "Sleep", "id": step_id("nap"), "displayName": "nap", "name": "500ms"})
        if step_id("go") not in done:
            self.waiting.put(n)
            opts = {"if": "async.data.n == event.data.n", "timeout": "1h"}
            return self._op(
                {"op": "WaitForEvent", "id": step_id("go"), "displayName": "go", "name": "net/go", "opts": opts}
            )
        if step_id("s1") not in done:
            return self._run(n, "s1", attempt)
        self.returned[n] += 1
        return JSONResponse(n, headers=HEADERS)

    def _run(self, n: int, name: str, attempt: int) -> Response:
        self.calls.setdefault((n, name), []).append(attempt)
        data = {"n": n, "padding": PADDING}
        return self._op({"op": "StepRun", "id": step_id(name), "displayName": name, "data": data})

    def _op(self, op: dict[str, Any]) -> Response:
        return JSONResponse([op], 206, headers=HEADERS)


class Service:
    """A process with its log."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-P", "-m", "penstock", environment["SERVICE"]]
            self._process = Leashed(command, log, environment)

    def wait_ready(self) -> None:
        wait_until(lambda: "ready: " in self.text() or self.has_ended(), READY_SECONDS, self.text)
        assert not self.has_ended(), self.text()

    def has_ended(self) -> bool:
        return self._process.exit_code() is not None

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> None:
        self._process.stop(STOP_SECONDS)


class Load:
    """Sends events that start runs, and for each run that waits the event that it waits for, until stopped.

    What is not answered with 200 is sent again, under the same event id.
    """

    def __init__(self, world: World, app: str, per_second: int = 25) -> None:
        self.sent: list[int] = []
        """The numbers of events that were accepted."""
        self.answers: Counter[int] = Counter()
        self.longest_seconds = 0.0
        self._world = world
        self._event = f"{app}/start"
        self._per_second = per_second
        self._stop = threading.Event()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._starts, self._gos)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[int]:
        """Send no more starts; events that are waited for are sent on, until `end`."""
        self._stop.set()
        self._threads[0].join(60)
        assert not self._threads[0].is_alive(), "the sender hangs: a request was not answered in time"
        return self.sent

    def end(self) -> None:
        """Send nothing more."""
        self._stop.set()
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def wait_accepted(self, count: int, seconds: float = 30.0) -> None:
        """Return when so many more events have been accepted."""
        goal = len(self.sent) + count
        wait_until(lambda: len(self.sent) >= goal, seconds, lambda: f"{count} more accepted; {dict(self.answers)}")

    def wait_refused(self, count: int, seconds: float = 30.0) -> None:
        """Return when so many more events have been answered with 503."""
        goal = self.answers[503] + count
        wait_until(lambda: self.answers[503] >= goal, seconds, lambda: f"{count} more 503; {dict(self.answers)}")

    def _starts(self) -> None:
        with httpx.Client(timeout=30) as client:
            for n in self._world.numbers:
                self._send(client, {"name": self._event, "id": f"start-{n}", "data": {"n": n}})
                self.sent.append(n)
                if self._stop.wait(1 / self._per_second):
                    return

    def _gos(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                try:
                    n = self._world.app.waiting.get(timeout=0.1)
                except queue.Empty:
                    continue
                self._send(client, {"name": "net/go", "id": f"go-{n}", "data": {"n": n}})

    def _send(self, client: httpx.Client, event: dict[str, object]) -> None:
        status = 0
        while status != 200:
            begun = time.monotonic()
            answer = client.post(f"{self._world.url}/e/key", json=event)
            status = answer.status_code
            self.answers[status] += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)
            if status != 200:
                assert "Kafka" in answer.json()["error"], answer.text
                threading.Event().wait(0.1)


class World:
    """Broker, services, app, and the lines between them by name."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.folder = folder
        self.is_sound = True
        """Everything that was begun has come to its end."""
        self.numbers = itertools.count()
        self.app = PatientApp()
        doors = {name: free_port() for name in ("ingest", "matcher", *EXECUTORS)}
        self.lines = {name: Relay(port) for name, port in doors.items()} | {"app": Relay(self.app.port)}
        place = BrokerPlace.at(folder / "kafka", doors=[Door(p, self.lines[name].port) for name, p in doors.items()])
        with (folder / "broker.log").open("wb") as log:
            self._broker = EmbeddedBroker(installation, place, log)
        self._broker.wait_ready()
        self.kafka = KafkaSettings(kafka_bootstrap_servers=place.bootstrap_servers)
        create_topics(self.kafka)
        self._admin = AdminClient(clients.connection(self.kafka, "test"))
        self._port = free_port()
        self.services = {name: self._started(name) for name in doors}
        for service in self.services.values():
            service.wait_ready()
        self.ended = 0

    @property
    def url(self) -> str:
        """Where events are sent to."""
        return f"http://127.0.0.1:{self._port}"

    def register(self, app: str, through_line: bool = True) -> None:
        """Sync an app with one function, triggered by `<app>/start`, that is called through the app's line or not."""
        port = self.lines["app"].port if through_line else self.app.port
        url = f"http://127.0.0.1:{port}/{app}"
        step = {
            "id": "step",
            "name": "step",
            "runtime": {"type": "http", "url": f"{url}?fnId={app}-chain&stepId=step"},
            "retries": {"attempts": 20},
        }
        trigger = {"event": f"{app}/start"}
        function = {"id": f"{app}-chain", "name": "chain", "triggers": [trigger], "steps": {"step": step}}
        body = {"url": url, "deployType": "ping", "framework": "test", "appName": app, "sdk": "py:v0.5.0", "v": "0.1"}
        answer = httpx.post(f"{self.url}/fn/register", json={**body, "functions": [function]}, timeout=30)
        assert answer.status_code == 200, answer.text

    def load(self, app: str, through_line: bool = True) -> Load:
        """Register the app and send events for it."""
        self.register(app, through_line)
        return Load(self, app)

    def meet_newcomer(self, app: str) -> None:
        """An app that registers now is called for its very next event: everybody has heard of it."""
        self.is_sound = False
        load = self.load(app)
        load.wait_accepted(3)
        self.finish(load)

    def wait_returned(self, count: int, seconds: float) -> None:
        """Return when so many more runs have come to their end."""
        goal = len(self.app.returned) + count
        wait_until(lambda: len(self.app.returned) >= goal, seconds, lambda: f"{count} more runs\n{self.text()}")

    def members(self, group: str) -> list[MemberDescription]:
        """Who is in the group, as the broker says."""
        name = f"{self.kafka.topic_prefix}{group}"
        found = self._admin.describe_consumer_groups([name], request_timeout=10)[name].result(20).members
        return list(found)

    def partitions_of(self, service: str) -> set[int]:
        """The run partitions that the broker says are the executor's."""
        return {
            place.partition
            for member in self.members("executor")
            if self._is(member, service)
            for place in member.assignment.topic_partitions
        }

    def wait_owns(self, service: str, count: int, seconds: float) -> float:
        """Return when the executor has at least so many partitions; how many seconds that took."""
        begun = time.monotonic()
        wait_until(
            lambda: len(self.partitions_of(service)) >= count,
            seconds,
            lambda: f"{service} has {count} partitions, not {self.partitions_of(service)}\n{self.text()}",
        )
        return time.monotonic() - begun

    def finish(self, *loads: Load, seconds: float = 40.0) -> None:
        """All runs end, each once; nothing died; the topics hold what the rules say."""
        sent = [n for load in loads for n in load.stop()]
        try:
            wait_until(
                lambda: all(n in self.app.returned for n in sent),
                seconds,
                lambda: f"runs {[n for n in sent if n not in self.app.returned][:10]} of {len(sent)}\n{self.text()}",
            )
        finally:
            for load in loads:
                load.end()
        self.ended += len(sent)
        wait_until(lambda: len(audit(self.kafka).ended) >= self.ended, 20, f"{self.ended} ends in the changelog")
        found = audit(self.kafka)
        assert found.problems == []
        assert found.completed() == self.ended
        looked = audit_topics(self.kafka, self._data_dirs(), lambda _: None)
        assert list(looked.lines()) == []
        assert looked.checked["stored records"] > 0
        assert looked.checked["timers"] > 0
        assert [name for name, service in self.services.items() if service.has_ended()] == []
        self.is_sound = True

    def text(self) -> str:
        """The end of every service's log."""
        return "\n".join(f"--- {name}\n{service.text()[-3000:]}" for name, service in self.services.items())

    def stop(self) -> None:
        for line in self.lines.values():
            line.heal()
        for service in self.services.values():
            service.stop()
        self._broker.stop()
        self.app.stop()
        for line in self.lines.values():
            line.stop()

    def _data_dirs(self) -> list[Path]:
        """Of those who keep a local store: also what a zombie has folded is the fold."""
        return [self.folder / name for name in ("matcher", *EXECUTORS)]

    def _is(self, member: MemberDescription, service: str) -> bool:
        address = self.services[service].text().partition("answers on ")[2].split()[0]
        return str(member.client_id).endswith(f"|{address}")

    def _started(self, name: str) -> Service:
        environment = {
            "SERVICE": "executor" if name in EXECUTORS else name,
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.lines[name].port}",
            "PENSTOCK_DATA_DIR": str(self.folder / name),
            "PENSTOCK_MODE": "dev",
            "PENSTOCK_PORT": str(self._port),
            "PENSTOCK_DISCOVER_APPS": "false",
            "PENSTOCK_APP_POLL_SECONDS": "3600",
            "PENSTOCK_KAFKA_TIMEOUT_SECONDS": str(KAFKA_TIMEOUT_SECONDS),
            "PENSTOCK_CALL_TIMEOUT_SECONDS": str(CALL_TIMEOUT_SECONDS),
            "PENSTOCK_KAFKA_REQUEST_TIMEOUT_MS": "4000",
            "PENSTOCK_RETRY_INTERVAL_SECONDS": "0.2",
        }
        return Service(name, self.folder, environment)
