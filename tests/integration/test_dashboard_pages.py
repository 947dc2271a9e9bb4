"""The dashboard's pages over a real read model, without a browser: what is shown, to whom, and what is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from penstock.dashboard.site import site
from penstock.functions.config import EventTrigger, FunctionConfig
from penstock.functions.table import FunctionTable
from penstock.history.database import prepare, writer_engine
from penstock.history.read import read_model
from penstock.history.rows import RowFolder, Rows
from penstock.history.write import HistoryWriter, Move
from penstock.messages import keys
from penstock.messages.codec import Codec
from penstock.messages.ids import FunctionKey, RunId, StepId, ulid
from penstock.messages.incoming import Arrival, IncomingEvents
from penstock.messages.records import Event, Function, Record, RunEnded, RunStarted, StepFinished
from penstock.settings import DashboardSettings, HistorySettings, KafkaSettings

NOW = 1_700_000_000_000
CODEC = Codec()
KEY = FunctionKey("shop/paid")
EVIL = '"><script>alert(1)</script>'
EVENT_ID = ulid(NOW, bytes(10))
RUN = RunId(ulid(NOW, b"\1" * 10))
NOWHERE = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")


def fill(folder: Path) -> None:
    """One event with a name that wants to be a script, and the failed run that it started."""
    engine = writer_engine(HistorySettings(data_dir=folder).database_url())
    prepare(engine)
    folder_of_rows, rows = RowFolder(CODEC, IncomingEvents(CODEC)), Rows()
    event = Event(EVIL, f'{{"n": "{"x" * 60_000}", "end": "<i>"}}', "order-1", NOW, "{}", None, EVENT_ID, NOW, "http")
    folder_of_rows.add_event(rows, Arrival("e", 0, 0, NOW, CODEC.encode(event)), True)
    step = StepFinished(RUN, StepId("s"), 0, "StepRun", EVIL, '{"data":1}', NOW, NOW + 9)
    error = '{"name":"<b>Oops</b>","message":"no","stack":"at <x>"}'
    records: list[tuple[bytes, Record]] = [
        (keys.run_key(RUN), RunStarted(RUN, KEY, 1, ("{}",), (EVENT_ID,), 4, NOW, NOW + 5)),
        (keys.step_key(RUN, step.step_id), step),
        (keys.end_key(RUN), RunEnded(RUN, "Failed", error, NOW + 20, NOW)),
    ]
    for key, record in records:
        folder_of_rows.add_state(rows, key, CODEC.encode(record))
    HistoryWriter(engine, "cluster").write(folder_of_rows.settle(rows), [Move(("x", 0), None, 5)])
    engine.dispose()


def functions() -> FunctionTable:
    table = FunctionTable()
    config = FunctionConfig(KEY, "shop", "paid", "Paid", "http://127.0.0.1:1/x", (EventTrigger("shop/paid"),))
    table.apply(Function(KEY, "shop", "paid", "Paid", 1, config.to_json(), NOW), 0)
    return table


class RecordingApi:
    """The HTTP API, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(f"{scope['method']} {scope['path']}")
        await JSONResponse({"data": {"run_id": RUN}})(scope, receive, send)


@pytest.fixture
def api() -> RecordingApi:
    return RecordingApi()


def client_of(folder: Path, api: RecordingApi, **settings: str) -> httpx.AsyncClient:
    dashboard = DashboardSettings.model_validate({"mode": "dev", **settings})
    routes = site(dashboard, NOWHERE, read_model(HistorySettings(data_dir=folder)), functions, api)
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://penstock")


@pytest.fixture
async def pages(tmp_path: Path, api: RecordingApi) -> AsyncIterator[httpx.AsyncClient]:
    fill(tmp_path)
    async with client_of(tmp_path, api) as client:
        yield client


@pytest.fixture
async def cloud(tmp_path: Path, api: RecordingApi) -> AsyncIterator[httpx.AsyncClient]:
    fill(tmp_path)
    async with client_of(tmp_path, api, mode="cloud", dashboard_password="open sesame") as client:
        yield client


VIEWS = ["/runs", f"/runs/{RUN}", "/events", f"/events/{EVENT_ID}", "/functions", "/apps", "/waits", "/dead-letters"]


@pytest.mark.parametrize("view", [*VIEWS, "/events/send", "/replays/new", f"/runs?q={EVIL}", "/runs/bulk?action=rerun"])
async def test_nothing_that_a_user_wrote_is_markup(pages: httpx.AsyncClient, view: str) -> None:
    """No view lets a tag through, and none carries a script or style inside."""
    answer = await pages.get(view)
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    assert "<b>Oops" not in answer.text
    assert re.findall(r"<script(?! type=\"module\" src=\"/assets/)", answer.text) == []
    assert " style=" not in answer.text
    assert re.findall(r"\son\w+=", re.sub(r"&#34;.*?&#34;", "", answer.text)) == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_a_large_payload_is_cut_and_the_whole_is_text(pages: httpx.AsyncClient) -> None:
    """Served in a sandbox, so that it stays text."""
    page = (await pages.get(f"/events/{EVENT_ID}")).text
    assert "Cut: it has" in page
    whole = await pages.get(f"/events/{EVENT_ID}/data")
    assert whole.text.endswith('"end": "<i>"}')
    assert whole.headers["content-type"].startswith("text/plain")
    assert "sandbox" in whole.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (f"/runs/{ulid(NOW, bytes(10))}", 404, "no run has the id"),
        ("/runs/x", 400, "a run id has 26 characters"),
        ("/events/nope", 404, "no event has the id"),
        ("/functions/a/b", 404, "no function is called"),
        ("/runs?status=Odd", 400, "status must be one of"),
        ("/runs?from=yesterday", 400, "from must be a time"),
        ("/runs?period=1y", 400, "period must be one of"),
        ("/runs?q=event.data.n%20%3D%3D", 400, "event.data.n"),
        ("/runs/bulk?action=delete", 400, "action must be one of"),
        ("/waits?kind=odd", 400, "kind must be one of"),
        ("/streams", 503, "Kafka does not answer"),
    ],
)
async def test_what_cannot_be_shown_is_a_page_that_says_why(
    pages: httpx.AsyncClient, path: str, status: int, words: str
) -> None:
    """With the status that programs understand, too."""
    answer = await pages.get(path)
    assert answer.status_code == status
    assert words in answer.text or "the expression" in answer.text


async def test_history_that_is_not_there_yet_is_told(tmp_path: Path, api: RecordingApi) -> None:
    """And the page follows, so that it fills when history comes."""
    async with client_of(tmp_path, api) as client:
        answer = await client.get("/runs")
    assert answer.status_code == 503
    assert "history database does not answer" in answer.text


async def test_an_id_in_the_search_field_is_gone_to(pages: httpx.AsyncClient) -> None:
    """A run's to the run, an event's to the event."""
    assert (await pages.get(f"/runs?q={RUN}")).headers["location"] == f"/runs/{RUN}"
    assert (await pages.get(f"/runs?q={EVENT_ID}")).headers["location"] == f"/events/{EVENT_ID}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://penstock"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://penstock"}, 403),
        ({}, 403),
    ],
)
async def test_changes_are_taken_from_our_own_pages_only(
    pages: httpx.AsyncClient, api: RecordingApi, headers: dict[str, str], status: int
) -> None:
    """Another site's form does nothing."""
    answer = await pages.post(f"/runs/{RUN}/cancel", headers=headers)
    assert answer.status_code == status
    assert api.asked == ([f"DELETE /v1/runs/{RUN}"] if status == 303 else [])


async def test_a_cloud_server_shows_nothing_before_the_login(cloud: httpx.AsyncClient, api: RecordingApi) -> None:
    """Not a page, not the live feed, no action; after it, the page that was wanted."""
    own = {"origin": "http://penstock"}
    refused = await cloud.get(f"/runs/{RUN}?x=1")
    assert (refused.status_code, refused.headers["location"]) == (303, f"/login?to=%2Fruns%2F{RUN}%3Fx%3D1")
    assert (await cloud.get("/live")).status_code == 401
    assert (await cloud.post(f"/runs/{RUN}/cancel", headers=own)).status_code == 401
    assert api.asked == []
    wrong = await cloud.post("/login?to=/runs", headers=own, data={"secret": "sesame"})
    assert (wrong.status_code, "neither the password nor" in wrong.text) == (401, True)
    right = await cloud.post("/login?to=/events", headers=own, data={"secret": "open sesame"})
    assert (right.status_code, right.headers["location"]) == (303, "/events")
    assert "HttpOnly" in right.headers["set-cookie"]
    assert (await cloud.get("/runs")).status_code == 200
    await cloud.post("/logout", headers=own)
    assert (await cloud.get("/runs")).status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_login_leads_to_our_own_pages_only(cloud: httpx.AsyncClient, target: str) -> None:
    """Whatever the link said."""
    answer = await cloud.post(
        "/login", params={"to": target}, headers={"origin": "http://penstock"}, data={"secret": "open sesame"}
    )
    assert answer.headers["location"] == "/runs"


async def test_a_cloud_server_without_a_secret_stays_shut(tmp_path: Path, api: RecordingApi) -> None:
    """And says what to set."""
    async with client_of(tmp_path, api, mode="cloud") as client:
        answer = await client.get("/login")
    assert answer.status_code == 503
    assert "PENSTOCK_DASHBOARD_PASSWORD" in answer.text


async def test_assets_are_kept_by_browsers_and_nothing_else_is_served(pages: httpx.AsyncClient) -> None:
    """Their address changes with them; no path leads out of their folder."""
    page = (await pages.get("/runs")).text
    (style,) = re.findall(r'href="(/assets/\w+/pages\.css)"', page)
    answer = await pages.get(style)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    for name in ("nope.css", "..%2Fsite.py", "%2e%2e%2fsite.py", "pages.py"):
        assert (await pages.get(f"/assets/x/{name}")).status_code == 404


async def test_a_form_that_is_too_large_is_refused(pages: httpx.AsyncClient) -> None:
    """Before it is read to its end."""
    answer = await pages.post("/theme", headers={"origin": "http://penstock"}, content=b"theme=" + b"x" * 100_000)
    assert answer.status_code == 400
    assert "larger than" in answer.text
