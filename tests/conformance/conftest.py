"""One server for the whole ring, and each SDK's app started once on it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ..audited import assert_rules_hold
from ..stack import Stack
from .app_process import AppProcess
from .outside import Outside
from .scenarios import DATA, scenarios_of
from .sdks import BY_NAME, Sdk
from .server import Server

#: Short, and unlike the times that tests ask for by themselves.
RETRY_SECONDS = 0.2

StartApp = Callable[..., AppProcess]


@dataclass(frozen=True, slots=True)
class RunningSdk:
    """An SDK's app on the server, all of its scenarios under way."""

    sdk: Sdk
    app: AppProcess
    #: The event of each scenario.
    events: dict[str, str]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test: Penstock in dev mode, or whatever PENSTOCK_CONFORMANCE_URL names."""
    if given := os.environ.get("PENSTOCK_CONFORMANCE_URL"):
        yield Server(given)
        return
    stack = Stack(
        tmp_path_factory.mktemp("conformance"),
        bootstrap_servers=request.getfixturevalue("broker"),
        topic_prefix=f"c{uuid.uuid4().hex[:12]}.",
        retry_interval=RETRY_SECONDS,
    )
    try:
        stack.wait_ready()
        yield Server(stack.url)
    finally:
        stack.stop()
    assert_rules_hold([stack], ())


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """A server that is none of ours, for requests that steps ask for."""
    outside = Outside()
    yield outside
    outside.close()


@pytest.fixture(scope="session")
def sdk(request: pytest.FixtureRequest, server: Server, outside: Outside) -> Iterator[RunningSdk]:
    """The parametrised SDK's app, synced, with the events of all its scenarios sent by the very next request."""
    chosen = BY_NAME[request.param]
    name = f"{chosen.name.replace('.', '-')}-{uuid.uuid4().hex[:6]}"
    app = AppProcess(
        name, chosen.command(), {"INNGEST_DEV": server.url, "CONFORMANCE_OUTSIDE": outside.url, **chosen.environment}
    )
    try:
        app.wait_ready().sync()
        names = [scenario.name for scenario in scenarios_of(chosen.name)] + ["no-step"]
        ids = server.send(*({"name": f"{name}/{each}", "data": DATA, "id": f"{name}-{each}"} for each in names))
        yield RunningSdk(chosen, app, dict(zip(names, ids, strict=True)))
    finally:
        app.stop()


@pytest.fixture
def start_app(server: Server) -> Iterator[StartApp]:
    """Start an app with the SDK in dev mode: `start_app(name, command, port=0)`; killed in the end."""
    started: list[AppProcess] = []

    def start(name: str, command: list[str], port: int = 0, **environment: str) -> AppProcess:
        app = AppProcess(name, command, {"INNGEST_DEV": server.url, **environment}, port)
        started.append(app)
        return app.wait_ready()

    try:
        yield start
    finally:
        for app in started:
            app.stop()
