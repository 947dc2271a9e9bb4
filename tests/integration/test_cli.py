"""The command line against a real stack: what people type, what they see, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.kafka import clients
from penstock.settings import KafkaSettings
from tests.conftest import StartStack
from tests.stack import Stack, wait_until

from .one_call_app import OneCallApp
from .test_replay import wait_matched

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def app() -> Iterator[OneCallApp]:
    app = OneCallApp("shop")
    yield app
    app.stop()


class Terminal:
    """Types `penstock …`, with the settings of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.environment = {
            **os.environ,
            **stack.environment,
            "PENSTOCK_URL": stack.url,
            "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        }

    def run(self, *words: str, code: int = 0, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "penstock", *words]
        done = subprocess.run(command, env=self.environment, input=typed, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)


def run_of(terminal: Terminal, event: str) -> str:
    """The run that an event started, once it has completed."""

    def completed() -> list[dict[str, Any]]:
        shown = terminal.run("events", "show", event, "--json", code=0)
        return [run for run in json.loads(shown.stdout)["runs"] if run["status"] == "Completed"]

    def known() -> bool:
        words = [sys.executable, "-P", "-m", "penstock", "events", "show", event]
        return subprocess.run(words, env=terminal.environment, capture_output=True, timeout=60).returncode == 0

    wait_until(known, 30, "the event in history")
    wait_until(lambda: len(completed()) == 1, 30, "the run in history")
    return str(completed()[0]["run_id"])


def test_events_and_runs_are_sent_shown_and_listed(stack: StartStack, app: OneCallApp) -> None:
    """Send an event, find it and its run, look at both; unknown ids are exit code 3 with a hint."""
    running = stack(retry_interval=1)
    app.register(running.url, event="shop/order")
    terminal = Terminal(running)
    event = terminal.run("events", "send", "shop/order", "-d", '{"n": 7}').stdout.strip()
    run = run_of(terminal, event)
    assert terminal.json("runs", "show", run)["output"] == 7
    assert [
        r["run_id"] for r in terminal.json("runs", "list", "--status", "Completed", "--function", "shop/shop-one")
    ] == [run]
    assert [e["internal_id"] for e in terminal.json("events", "list", "--name", "shop/order", "--from", "1h")] == [
        event
    ]
    assert "Completed: 7" in terminal.run("runs", "tail", run).stdout
    assert "shop/shop-one" in terminal.run("functions", "list").stdout
    assert terminal.json("functions", "show", "shop-one")["key"] == "shop/shop-one"
    assert terminal.json("apps", "list")[0]["name"] == "shop"
    assert "penstock" in terminal.run("runs", "list", "--from", "soon", code=2).stderr
    assert "no run has the id" in terminal.run("runs", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV", code=3).stderr
    lines = "".join(json.dumps({"name": "shop/order", "data": {"n": n}}) + "\n" for n in range(100, 350))
    sent = terminal.run("events", "send", "--file", "-", "--json", typed=lines)
    assert len(json.loads(sent.stdout)["ids"]) == 250
    wait_until(lambda: len(app.seen) == 251, 60, lambda: str(len(app.seen)))


def test_failed_runs_are_counted_and_run_again_once(stack: StartStack, app: OneCallApp) -> None:
    """By filter: counted first, each repeated once however often; by id: each time. A failed run is bad news."""
    running = stack(retry_interval=1)
    app.register(running.url, event="shop/order")
    app.failing = {1, 2}
    terminal = Terminal(running)
    for n in range(4):
        terminal.run("events", "send", "shop/order", "-d", json.dumps({"n": n}))
    failed = ("--status", "Failed", "--function", "shop/shop-one")
    wait_until(lambda: len(terminal.json("runs", "list", *failed)) == 2, 30, "two failed runs")
    assert terminal.json("runs", "rerun", *failed, "--dry-run") == {"runs": 2}
    one = terminal.json("runs", "list", *failed)[0]["run_id"]
    assert "is failed" in terminal.run("runs", "tail", one, code=5).stderr
    app.failing.clear()
    assert len(terminal.json("runs", "rerun", *failed, "--yes")["begun"]) == 2
    wait_until(lambda: app.seen == {0: 1, 1: 2, 2: 2, 3: 1}, 30, lambda: str(app.seen))
    terminal.json("runs", "rerun", *failed, "--yes")
    again = terminal.run("runs", "rerun", one).stdout.strip()
    wait_until(lambda: sum(app.seen.values()) == 7, 30, lambda: str(app.seen))
    completed = ("runs", "list", "--status", "Completed")
    wait_until(lambda: again in [r["run_id"] for r in terminal.json(*completed)], 30, "the run that was repeated")
    assert sum(app.seen.values()) == 7
    assert terminal.json("apps", "sync", "shop")["error"] is None
    assert "synced" in terminal.run("apps", "sync", app.url).stderr
    assert "no app is called" in terminal.run("apps", "sync", "nothing", code=3).stderr


def test_a_dead_letter_is_repaired_and_sent_again(stack: StartStack, app: OneCallApp) -> None:
    """Its reason is shown; repaired, it starts the run that it was meant to start."""
    running = stack(retry_interval=1)
    app.register(running.url, event="shop/order")
    terminal = Terminal(running)
    producer = Producer(clients.producer(running.kafka, "test"))
    producer.produce(running.kafka.topics().events, value=b'{"name": "shop/order", "data": {"n": 9}')
    assert producer.flush(30) == 0
    wait_until(lambda: len(terminal.json("dead-letters", "list")) == 1, 30, "the dead letter in history")
    letter = terminal.json("dead-letters", "list")[0]["id"]
    assert "shop/order" in terminal.run("dead-letters", "show", letter).stdout
    terminal.run("dead-letters", "retry", letter, "--value", '{"name": "shop/order", "data": {"n": 9}}')
    wait_until(lambda: app.seen == {9: 1}, 30, lambda: str(app.seen))
    terminal.run("dead-letters", "show", "nothing", code=3)


def test_a_replay_is_followed_to_its_end(stack: StartStack, app: OneCallApp) -> None:
    """Counting first, then replaying with progress, then the same once more, which starts nothing."""
    running = stack(retry_interval=1)
    produce(running.kafka, [{"name": "shop/order", "data": {"n": n}} for n in range(300)])
    wait_matched(running.kafka)
    app.register(running.url, event="shop/order")
    terminal = Terminal(running)
    counted = terminal.run("replay", "-F", "shop/shop-one", "--dry-run", "--if", "event.data.n < 50").stdout
    assert "50 runs would start" in counted
    done = terminal.json("replay", "-F", "shop/shop-one", "--rate", "500")
    assert (done["status"], done["started"]) == ("Completed", 300)
    wait_until(lambda: len(app.seen) == 300, 60, lambda: str(len(app.seen)))
    assert terminal.json("replay", "-F", "shop/shop-one")["id"] == done["id"]
    assert done["id"] in terminal.run("replays", "list").stdout
    assert terminal.json("replays", "show", done["id"])["done"] == 300
    assert "completed" in terminal.run("replays", "pause", done["id"], code=4).stderr
    assert set(app.seen.values()) == {1}


def test_topics_lag_and_doctor_tell_how_things_are(stack: StartStack, app: OneCallApp) -> None:
    """Every check is ok on a stack that runs; a service that is gone is a failed check and exit code 5."""
    running = stack(retry_interval=1)
    app.register(running.url, event="shop/order")
    terminal = Terminal(running)
    event = terminal.run("events", "send", "shop/order", "-d", '{"n": 1}').stdout.strip()
    run_of(terminal, event)
    names = {topic["name"] for topic in terminal.json("topics", "list")}
    assert names == {spec.name for spec in running.kafka.topics().specs()}
    assert "all" in terminal.run("topics", "check").stdout
    groups = {each["group"] for each in terminal.json("lag")}
    assert f"{running.kafka.topic_prefix}executor" in groups
    wait_until(lambda: healthy(terminal), 30, lambda: terminal.run("doctor", code=5).stdout)


def healthy(terminal: Terminal) -> bool:
    words = [sys.executable, "-P", "-m", "penstock", "doctor", "--json"]
    done = subprocess.run(words, env=terminal.environment, capture_output=True, text=True, timeout=120)
    return done.returncode == 0 and all(each["state"] != "fail" for each in json.loads(done.stdout))


def test_without_a_server_one_sentence_says_what_to_do(tmp_path: object) -> None:
    """Nothing listens: exit code 1, and how to start it or name another."""
    environment = {**os.environ, "PENSTOCK_URL": "http://127.0.0.1:9"}
    words = [sys.executable, "-P", "-m", "penstock", "runs", "list"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "penstock dev" in done.stderr
    assert "PENSTOCK_URL" in done.stderr


def test_real_events_are_pulled_and_redacted(stack: StartStack, app: OneCallApp, kafka_settings: KafkaSettings) -> None:
    """Events of another installation come into the dev server once, without what was to be taken out."""
    source_prefix = kafka_settings.topic_prefix
    produce(
        kafka_settings,
        [{"name": "shop/order", "id": f"o{n}", "data": {"n": n, "email": "a@example.com"}} for n in range(40)]
        + [{"name": "other/thing", "data": {"n": 1000}}],
    )
    running = stack(retry_interval=1, topic_prefix=f"local{source_prefix}")
    app.register(running.url, event="shop/order")
    terminal = Terminal(running)
    words = ["pull", "--from-cluster", running.bootstrap_servers, "--from-prefix", source_prefix, "--event", "shop/*"]
    pulled = terminal.json(*words, "--last", "1h", "--redact-path", "data.email")
    assert (pulled["sent"], pulled["read"]) == (40, 41)
    assert terminal.json(*words, "--last", "1h", "--redact-path", "data.email")["sent"] == 40
    wait_until(lambda: len(app.seen) == 40, 30, lambda: str(app.seen))
    assert set(app.seen) == set(range(40))
    wait_until(lambda: len(terminal.json("events", "list", "--name", "shop/order", "-n", "100")) == 80, 30, "history")
    shown = terminal.json("events", "list", "--name", "shop/order", "-n", "100")
    assert all(event["data"]["email"].startswith("redacted-") for event in shown)
    assert set(app.seen.values()) == {1}


def produce(kafka: KafkaSettings, events: list[dict[str, Any]]) -> None:
    producer = Producer(clients.producer(kafka, "test"))
    for event in events:
        producer.produce(kafka.topics().events, value=json.dumps(event).encode())
    assert producer.flush(30) == 0
