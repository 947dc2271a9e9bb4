"""Cloud mode: a server with keys finds its apps by itself, signs what it calls, and lets nobody else in.

The SDKs run without their dev mode, so they refuse whatever is not signed exactly as they would in production.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from penstock.cli.ports import free_port

from ..audited import assert_rules_hold
from ..stack import Stack
from .app_process import AppProcess, wait_until
from .conftest import RETRY_SECONDS
from .scenario import Scenario
from .scenarios import DATA, scenarios_of
from .sdks import BY_NAME
from .server import Server

pytestmark = pytest.mark.timeout(700)

SIGNING_KEY = "signkey-prod-" + hashlib.sha256(b"conformance").hexdigest()
EVENT_KEY = "an-event-key"
#: The last does not register in band unless asked to: it posts its functions, with the key as its bearer.
NAMES = ("python-fastapi", "python-flask", "typescript-plain", "go-0.16", "go-0.7")
#: Several calls; retried calls; and state that the SDK fetches with its key.
WANTED = ("sequential", "retried", "big-state")
#: Numbers and keys that canonical JSON writes in one way only.
ODD = {
    "n": 20,
    "f": 1e21,
    "small": 1e-7,
    "t": 0.1,
    "zero": -0.0,
    "é": 1,
    "\ufb33": "…\u2028",
    "\U0001f600": {"b": 1, "a": [1.50]},
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A cloud server, and the apps that it was told of."""

    server: Server
    apps: dict[str, AppProcess]


@pytest.fixture(scope="module")
def signed(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """Ingest in cloud mode, started after its apps; executor, matcher and history are those of a stack."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    keys = {"INNGEST_SIGNING_KEY": SIGNING_KEY, "INNGEST_EVENT_KEY": EVENT_KEY, "INNGEST_BASE_URL": url}
    apps: dict[str, AppProcess] = {}
    stack = None
    try:
        for name in NAMES:
            app_id = f"{name.replace('.', '-')}-{uuid.uuid4().hex[:6]}"
            apps[name] = AppProcess(app_id, BY_NAME[name].command(), keys)
        urls = [app.wait_ready().url for app in apps.values()]
        stack = _start_stack(broker, tmp_path_factory)
        cloud = {"PENSTOCK_MODE": "cloud", "PENSTOCK_PORT": str(port), "PENSTOCK_APP_URLS": ",".join(urls)}
        cloud |= {"PENSTOCK_APP_POLL_SECONDS": "0.5", "PENSTOCK_DATA_DIR": str(stack.data_dir)}
        stack.start_service("ingest", cloud)
        _wait_registered(stack, apps)
        yield Signed(Server(url, EVENT_KEY, SIGNING_KEY), apps)
    finally:
        for app in apps.values():
            app.stop()
        if stack is not None:
            stack.stop()
    assert_rules_hold([stack], ())


def _start_stack(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(
        tmp_path_factory.mktemp("signed"),
        bootstrap_servers=broker,
        topic_prefix=f"s{uuid.uuid4().hex[:12]}.",
        retry_interval=RETRY_SECONDS,
        environment={"PENSTOCK_SIGNING_KEY": SIGNING_KEY, "PENSTOCK_EVENT_KEYS": EVENT_KEY},
    )
    stack.wait_ready()
    return stack


def _wait_registered(stack: Stack, apps: dict[str, AppProcess]) -> None:
    def missing() -> list[str]:
        listed = httpx.get(f"{stack.url}/dev").json()["functions"]
        known = {function["slug"].removesuffix("-single") for function in listed}
        return [app.name for app in apps.values() if app.name not in known]

    said = "\n".join(app.said() for app in apps.values())
    wait_until(lambda: not missing(), f"all apps are registered; {missing()} are not\n{said}", 30.0)


PAIRS = [
    pytest.param(name, scenario, id=f"{name}-{scenario.name}")
    for name in NAMES
    for scenario in scenarios_of(name)
    if scenario.name in WANTED
]


@pytest.mark.parametrize(("name", "scenario"), PAIRS)
def test_a_signed_run_ends_as_an_unsigned_one(signed: Signed, name: str, scenario: Scenario) -> None:
    """Every call is signed so that the SDK takes it; what the SDK asks the server, it asks with its key."""
    app = signed.apps[name]
    outcome = signed.server.wait_outcome(signed.server.send({"name": f"{app.name}/{scenario.name}", "data": DATA})[0])
    assert (outcome.status, outcome.output) == ("Completed", scenario.output)
    assert app.counts(outcome.run)["enter"] == scenario.calls_with(name)


@pytest.mark.parametrize("name", ["python-fastapi", "python-flask", "typescript-plain"])
def test_any_data_is_signed_as_the_sdk_checks_it(signed: Signed, name: str) -> None:
    """SDKs bring the body into canonical form before they check: numbers and the order of keys must be just that."""
    app = signed.apps[name]
    outcome = signed.server.wait_outcome(signed.server.send({"name": f"{app.name}/no-step", "data": ODD})[0])
    assert outcome.status == "Completed", outcome
    assert outcome.output["data"] == ODD


def test_an_app_refuses_what_is_not_signed(signed: Signed) -> None:
    """The apps of this module do check: a call without signature gets nowhere."""
    refused = {
        app.name: httpx.post(f"{app.url}?fnId={app.name}-single&stepId=step", json={}).status_code
        for app in signed.apps.values()
    }
    assert set(refused.values()) <= {401, 500}, refused


def test_events_need_a_known_key(signed: Signed) -> None:
    """Another event key is told so, and nothing is kept."""
    answer = httpx.post(f"{signed.server.url}/e/another", json={"name": "a"})
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert answer.json()["ids"] == []


RUN = "01J00000000000000000000000"
GUARDED = [
    ("POST", "/fn/register"),
    ("GET", f"/v0/runs/{RUN}/actions"),
    ("GET", f"/v0/runs/{RUN}/batch"),
    ("DELETE", f"/v1/runs/{RUN}"),
    ("GET", f"/v1/runs/{RUN}"),
    ("GET", "/v1/events"),
    ("GET", f"/v1/events/{RUN}"),
    ("GET", f"/v1/events/{RUN}/runs"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_the_api_needs_the_signing_key(signed: Signed, method: str, path: str) -> None:
    """Without the key, or with another, nobody registers, reads or cancels anything."""
    for headers in ({}, {"authorization": "Bearer " + "0" * 64}):
        answer = httpx.request(method, signed.server.url + path, headers=headers)
        assert answer.status_code == 401, answer.text
        assert answer.json()["error"]


def test_the_key_is_taken_plain_or_hashed(signed: Signed) -> None:
    """SDKs show the key's hash, with or without its prefix; some callers show the key itself."""
    plain = SIGNING_KEY.removeprefix("signkey-prod-")
    hashed = hashlib.sha256(bytes.fromhex(plain)).hexdigest()
    for shown in (SIGNING_KEY, plain, hashed, f"signkey-prod-{hashed}"):
        answer = httpx.get(f"{signed.server.url}/v1/events", headers={"authorization": f"Bearer {shown}"})
        assert answer.status_code == 200, (shown, answer.text)


def test_a_cloud_server_is_no_dev_server(signed: Signed) -> None:
    """`GET /dev` is 404, and every answer says what kind of server it is."""
    answer = httpx.get(f"{signed.server.url}/dev")
    assert answer.status_code == 404
    assert answer.headers["x-inngest-server-kind"] == "cloud"
