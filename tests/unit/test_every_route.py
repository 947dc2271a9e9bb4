"""Outside development, every route of every service asks who is there. Found by walking them, so none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

import penstock
from penstock.__main__ import other_routes
from penstock.dashboard.session import COOKIE
from penstock.dashboard.site import site
from penstock.executor.api import Dispatches, OwnerApi, owner_app
from penstock.executor.ownership import Ownership
from penstock.history.past import Past
from penstock.history.read import read_model
from penstock.ingest.app import Inside, Parts, ingest_app
from penstock.ingest.guarded import Guarded
from penstock.ingest.publish import Bounds, Publisher
from penstock.ingest.registrar import Registrar
from penstock.keys import SigningKeys
from penstock.messages.codec import Codec
from penstock.replay.api import ReplayDesk
from penstock.settings import (
    DashboardSettings,
    ExecutorSettings,
    HistorySettings,
    KafkaSettings,
    ReplaySettings,
    ServerSettings,
)
from tests.unit.ingest.doubles import ListedOwners

KEY, OTHER = "signkey-test-" + "ab" * 32, "signkey-test-" + "ac" * 32
KAFKA = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")
RUN = "01M3250V000000000000000001"
#: What everybody may see: that a server is there and well, the way in, and what the way in looks like.
OPEN = {
    ("GET", "/"): 200,
    ("GET", "/health"): 503,
    ("GET", "/dev"): 404,
    ("GET", "/assets/{version}/{name}"): 404,
    ("GET", "/login"): 200,
    ("POST", "/login"): 401,
    ("POST", "/logout"): 303,
    ("POST", "/theme"): 303,
}


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that answers HTTP."""

    ingest: ASGIApp
    owner: ASGIApp
    ingest_routes: tuple[Route, ...]
    owner_routes: tuple[Route, ...]

    def targets(self) -> Iterator[tuple[ASGIApp, str, str]]:
        """Application, method, path as declared."""
        for app, routes in ((self.ingest, self.ingest_routes), (self.owner, self.owner_routes)):
            for route in routes:
                for method in sorted(route.methods or ()):
                    yield app, method, route.path


def installation(folder: Path, mode: str = "cloud", keys: bool = True) -> Installation:
    given = {"mode": mode, "signing_key": KEY if keys else "", "event_keys": "good" if keys else ""}
    dashboard = DashboardSettings.model_validate({**given, "dashboard_password": "open sesame" if keys else ""})
    publisher = Publisher(KAFKA.topics(), Codec(), Bounds(10, 0.05))
    registrar = Registrar(publisher, lambda: 0)
    history, peers = HistorySettings(data_dir=folder), httpx.AsyncClient(transport=httpx.MockTransport(_nobody))
    parts = Parts(publisher, registrar, ListedOwners(), peers, Past(read_model(history)), _sync)

    def pages(inside: Inside) -> list[BaseRoute]:
        return site(dashboard, KAFKA, read_model(history), inside.functions, inside.app)

    more = other_routes(history, ReplayDesk(ReplaySettings(), KAFKA))
    app = ingest_app(ServerSettings.model_validate(given), KAFKA, parts, more, pages)
    api = OwnerApi(cast(Ownership, None), cast(Dispatches, None), 4)
    executor = ExecutorSettings.model_validate({key: given[key] for key in ("mode", "signing_key")})
    owner = owner_app(api, SigningKeys.from_settings(executor))
    return Installation(app, owner, _routes(app.others.routes), _routes(api.routes()))


def _routes(routes: list[BaseRoute]) -> tuple[Route, ...]:
    plain = [route.route if isinstance(route, Guarded) else route for route in routes]
    assert all(isinstance(route, Route) for route in plain), "a kind of route that this test does not know how to walk"
    return tuple(route for route in plain if isinstance(route, Route))


async def _sync(_url: str) -> str | None:
    raise AssertionError("an app was asked")


def _nobody(_request: httpx.Request) -> httpx.Response:
    raise AssertionError("another process was asked")


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", RUN, path)


def refused(answer: httpx.Response) -> bool:
    """401 or 403; browsers that ask for a page are shown the way in."""
    to_login = answer.status_code == 303 and answer.headers["location"].startswith("/login?to=")
    return (answer.status_code in (401, 403) or to_login) and answer.headers.get("set-cookie") is None


STRANGERS = {
    "nobody": {},
    "another key": {"authorization": f"Bearer {OTHER}"},
    "an empty key": {"authorization": "Bearer "},
    "another scheme": {"authorization": f"Basic {KEY}"},
    "a made up session": {"cookie": f"{COOKIE}=99999999999999.{'0' * 64}"},
    "the dashboard's own page": {"origin": "http://penstock", "sec-fetch-site": "same-origin"},
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without any key"])
async def test_every_route_asks_who_is_there(stranger: str, keys: bool, tmp_path: Path) -> None:
    """401, 403 or the login page, for whoever has no key, a wrong one, or a session of their own making; also on a
    server that was given no key at all."""
    asked, let_in = 0, []
    for app, method, path in installation(tmp_path, keys=keys).targets():
        if (method.replace("HEAD", "GET"), path) in OPEN:
            continue
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
            answer = await http.request(method, filled(path), headers=STRANGERS[stranger], content=b"{}")
        asked += 1
        if not refused(answer):
            let_in.append(f"{method} {path}: {answer.status_code}")
    assert let_in == []
    assert asked > 100


async def test_what_is_open_tells_nothing(tmp_path: Path) -> None:
    """The exceptions, with what they answer a stranger: no names of machines, no version of what is behind."""
    found = installation(tmp_path)
    declared = {(method, path) for _, method, path in found.targets()}
    assert OPEN.keys() <= declared
    async with httpx.AsyncClient(transport=httpx.ASGITransport(found.ingest), base_url="http://penstock") as http:
        for (method, path), status in OPEN.items():
            answer = await http.request(method, filled(path), headers={"origin": "http://penstock"}, content=b"")
            assert (path, answer.status_code) == (path, status)
            assert "127.0.0.1" not in answer.text
        health = await http.get("/health", headers={"authorization": f"Bearer {KEY}"})
        assert "waiting for" in health.json()["error"]


@pytest.mark.parametrize("key", ["bad", "", KEY, "good%20", "good/x", "GOOD"])
async def test_events_need_an_event_key(key: str, tmp_path: Path) -> None:
    """Ours, to the letter; a signing key is none. Without any on the server, none is good."""
    for keys in (True, False):
        app = installation(tmp_path, keys=keys).ingest
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
            answer = await http.post(f"/e/{key}", json={"name": "a"})
            assert answer.status_code == (404 if "/" in key else 401)
            with_good = await http.post("/e/good", json={"name": "a"})
            assert with_good.status_code == (503 if keys else 401)  # 503: past the key, and Kafka is not there


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/traces/userland"])
async def test_the_key_opens(path: str, tmp_path: Path) -> None:
    """The refusals above are about the key, and nothing else."""
    method = "GET" if path.endswith("json") else "POST"
    app = installation(tmp_path).ingest
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
        answer = await http.request(method, path, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200


async def test_the_key_opens_an_executor(tmp_path: Path) -> None:
    """It then looks at what is asked."""
    app = installation(tmp_path).owner
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://owner") as http:
        answer = await http.get("/runs/x/actions", headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 400


def test_nothing_else_listens() -> None:
    """Sockets that wait for others are made by two services, whose routes were walked above, and by the app that
    `penstock verify` is called back at while it runs."""
    root = Path(penstock.__file__).parent
    listening = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"(socket\.create_server|start_server|= EmbeddedServer|uvicorn\.run)\(", file.read_text("utf-8"))
    }
    assert listening == {"ingest/service.py", "executor/service.py", "verification/served.py"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8288"}, 200),
        ({"host": "127.0.0.1:8288", "origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, 200),
        ({"host": "[::1]:8288", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "host.docker.internal:8288"}, 200),
        ({"host": "dev.example.com"}, 200),
        ({"host": "127.0.0.1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"host": "evil.example:8288"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "evil.example.:8288"}, 403),
        ({"host": "127.0.0.1", "origin": "https://evil.example"}, 403),
        ({"host": "127.0.0.1", "origin": "null"}, 403),
        ({"host": "127.0.0.1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    ],
)
async def test_development_is_for_the_developer(headers: dict[str, str], status: int) -> None:
    """It asks nobody for a key, so strangers' pages in the developer's browser are refused: neither their requests
    nor a name of theirs that resolves to this machine reach it."""
    publisher = Publisher(KAFKA.topics(), Codec(), Bounds(10, 0.05))
    peers = httpx.AsyncClient(transport=httpx.MockTransport(_nobody))
    parts = Parts(publisher, Registrar(publisher, lambda: 0), ListedOwners(), peers)
    app = ingest_app(ServerSettings(mode="dev", dev_hosts="dev.example.com"), KAFKA, parts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://penstock") as http:
        assert (await http.get("/dev", headers=headers)).status_code == status
        navigating = headers.get("sec-fetch-mode") == "navigate"
        posted = await http.post("/v0/telemetry", headers=headers)
    assert posted.status_code == (403 if navigating else status)
