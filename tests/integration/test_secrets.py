"""Services with marked secrets, in trouble: nothing of them is printed or answered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from penstock.cli.leash import Leashed
from penstock.cli.ports import free_port
from tests.stack import wait_until

MARK = "S3CRET"
KEY = f"signkey-test-{MARK.encode().hex()}"
SECRETS = (MARK, MARK.encode().hex())
WITH_SECRETS = {
    "PENSTOCK_MODE": "cloud",
    "PENSTOCK_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "PENSTOCK_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
    "PENSTOCK_KAFKA_SASL_USERNAME": "penstock",
    "PENSTOCK_KAFKA_SASL_PASSWORD": f"{MARK}-sasl",
    "PENSTOCK_KAFKA_SSL_KEY_PASSWORD": f"{MARK}-tls",
    "PENSTOCK_SIGNING_KEY": KEY,
    "PENSTOCK_SIGNING_KEY_FALLBACK": f"{MARK}-fallback",
    "PENSTOCK_EVENT_KEYS": f"{MARK}-event",
    "PENSTOCK_EVENT_KEY": f"{MARK}-event",
    "PENSTOCK_DASHBOARD_PASSWORD": f"{MARK}-dashboard",
    "PENSTOCK_HISTORY_DATABASE_URL": f"postgresql://penstock:{MARK}-database@127.0.0.1:1/penstock",
    "PENSTOCK_APP_URLS": f"http://user:{MARK}-app@127.0.0.1:1/api/inngest?token={MARK}-query",
}


class Running:
    """A service, and all that it said."""

    def __init__(self, service: str, environment: dict[str, str]) -> None:
        argv = [sys.executable, "-P", "-m", "penstock", service]
        self._process = Leashed(argv, subprocess.PIPE, environment)
        self._lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def said(self) -> str:
        return "\n".join(self._lines)

    def stop(self) -> None:
        self._process.stop(10.0)
        self._reading.join(10.0)

    def _read(self) -> None:
        for raw in self._process.output:
            self._lines.append(raw.decode("utf-8", "replace"))


@contextmanager
def running(service: str, folder: Path, **more: str) -> Iterator[Running]:
    nowhere = {"PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "PENSTOCK_DATA_DIR": str(folder)}
    started = Running(service, WITH_SECRETS | nowhere | more)
    try:
        yield started
    finally:
        started.stop()


def assert_clean(text: str) -> None:
    found = [secret for secret in SECRETS if secret in text]
    assert not found, f"{found} in:\n{text[-5000:]}"


@pytest.mark.parametrize("service", ["matcher", "executor", "history", "replayer"])
def test_a_service_that_waits_says_why_without_secrets(service: str, tmp_path: Path) -> None:
    """Kafka is not there; what is said about it names the address and nothing more."""
    with running(service, tmp_path) as started:
        wait_until(lambda: "waiting for Kafka" in started.said, 30.0, lambda: started.said)
    assert_clean(started.said)


def test_ingest_in_trouble_keeps_secrets(tmp_path: Path) -> None:
    """Right and wrong keys, refused events, pages without their database, garbage: no answer and no line of the log
    shows a key, a password, or what was in an event."""
    port = free_port()
    answers: list[httpx.Response] = []
    with running("ingest", tmp_path, PENSTOCK_PORT=str(port)) as started:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), 30.0, lambda: started.said)
        with httpx.Client(base_url=url, timeout=20.0) as http:
            own = {"origin": url}
            login = {"secret": f"{MARK}-dashboard"}
            assert http.post("/login", headers=own, data=login).status_code == 303
            answers = [
                http.post(f"/e/{MARK}-event", json={"name": "shop/paid", "data": {"card": MARK}}),
                http.post(f"/e/{MARK}-event", content=b'{"name": "' + MARK.encode()),
                http.post(f"/e/{MARK}-wrong", json={"name": "a"}),
                http.post("/login", headers=own, data={"secret": f"{MARK}-guess"}),
                http.get("/v1/events", headers={"authorization": f"Bearer {MARK}-wrong"}),
                http.get("/v1/events", headers={"authorization": f"Bearer {KEY}"}),
                http.get("/v1/runs/x/rerun", headers={"authorization": f"Bearer {KEY}"}),
                http.post("/v0/gql", headers={"authorization": f"Bearer {KEY}"}, json={"query": "{ runs { x } }"}),
                http.post("/fn/register", headers={"authorization": f"Bearer {KEY}"}, json={"url": "nowhere"}),
                http.get("/health"),
                http.get("/health", headers={"authorization": f"Bearer {KEY}"}),
                http.get("/runs"),
                http.get("/apps"),
                http.get("/openapi.json", headers={"authorization": f"Bearer {KEY}"}),
            ]
    for answer in answers:
        assert_clean(answer.text + repr(answer.headers.multi_items()))
    assert {200, 400, 401, 503} <= {answer.status_code for answer in answers}
    assert "a wrong password or key was entered" in started.said
    assert_clean(started.said)


def test_doctor_keeps_secrets(tmp_path: Path) -> None:
    """Its report is what people paste into tickets."""
    nowhere = {
        "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PENSTOCK_SCHEMA_REGISTRY_URL": f"http://user:{MARK}-registry@127.0.0.1:1",
        "PENSTOCK_URL": f"http://user:{MARK}-url@127.0.0.1:1",
    }
    found = subprocess.run(
        [sys.executable, "-P", "-m", "penstock", "doctor"],
        env=os.environ | WITH_SECRETS | nowhere,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "Kafka" in found.stdout
    assert_clean(found.stdout + found.stderr)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 503
    except httpx.TransportError:
        return False
