"""What `/openapi.json` says of ingest, held against what ingest answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from penstock.functions.config import FunctionConfig
from penstock.functions.table import TableRecord
from penstock.ingest.openapi import PART
from penstock.messages.ids import FunctionKey
from penstock.messages.records import App, Function
from penstock.openapi import Description
from tests.unit.functions import bodies
from tests.unit.json_schema import problems

from .doubles import NOW, MemoryTopics, client, served
from .test_repeat_api import LETTER, RUN, MemoryPast

URL = "http://127.0.0.1:1/api/inngest"
NOBODY = "01M3250V000000000000000009"
KEY = FunctionKey("shop/f")
BULK = {"app_id": "shop", "function_id": "f", "started_before": "2026-08-31T12:00:00Z", "if": "event.data.n > 1"}
BODY = orjson.loads(bodies.body(bodies.function(), appName="other", appname=None))


@dataclass(frozen=True)
class Case:
    """A request, where it is described, and the status that it is answered with."""

    method: str
    path: str
    asked: str
    status: int
    sent: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.asked} {self.status}"


V2 = "/v2/apps/{app}/functions/{function}/invoke"
RERUN, RESEND = "/v1/runs/{run_id}/rerun", "/v1/dead-letters/{letter_id}/resend"
SYNC, FUNCTIONS = "/v1/apps/{app}/sync", "/v1/apps/{app}/functions"
BULKS, BULK_OF = "/v1/cancellations", "/v1/cancellations/{id}"
CASES = [
    Case("POST", "/e/{key}", "/e/test", 200, {"name": "shop/a", "data": {"n": 1}, "user": {}, "id": "1", "ts": NOW}),
    Case("POST", "/e/{key}", "/e/test", 200, [{"name": "shop/a", "data": None, "v": "1"}, {"name": "shop/b"}]),
    Case("POST", "/e/{key}", "/e/test", 400, [{"name": "shop/a"}, {"name": "inngest/mine"}]),
    Case("POST", "/e/{key}", "/e/test", 400, {"name": "shop/a", "id": "x" * 2000}),
    Case("POST", "/e/{key}", "/e/test", 413, {"name": "shop/a"}, {"content-length": "99999999"}),
    Case("POST", "/e/{key}", "/e/", 401, {"name": "shop/a"}),
    Case("POST", "/invoke/{slug}", "/invoke/f", 200),
    Case("POST", "/invoke/{slug}", "/invoke/f", 200, {"data": {"n": 1}, "user": None, "ts": NOW}),
    Case("POST", "/invoke/{slug}", "/invoke/f", 400, {"data": 7}),
    Case("POST", "/invoke/{slug}", "/invoke/g", 404),
    Case("POST", V2, "/v2/apps/shop/functions/f/invoke", 200),
    Case("POST", V2, "/v2/apps/shop/functions/f/invoke", 200, {"data": {"n": 1}, "idempotency_key": "k"}),
    Case("POST", V2, "/v2/apps/shop/functions/f/invoke", 413, {"idempotency_key": "k" * 513}),
    Case("POST", V2, "/v2/apps/shop/functions/g/invoke", 404),
    Case("POST", "/v1/signals", "/v1/signals", 200, {"signal": "task/done", "data": [1]}),
    Case("POST", "/v1/signals", "/v1/signals", 404, {"signal": "nobody"}),
    Case("POST", "/v1/signals", "/v1/signals", 413, {"signal": "x" * 1025}),
    Case("DELETE", "/v1/runs/{run_id}", f"/v1/runs/{RUN}", 200),
    Case("DELETE", "/v1/runs/{run_id}", f"/v1/runs/{NOBODY}", 404),
    Case("DELETE", "/v1/runs/{run_id}", "/v1/runs/x", 400),
    Case("DELETE", "/v0/runs/{run_id}", f"/v0/runs/{RUN}", 204),
    Case("DELETE", "/v0/runs/{run_id}", f"/v0/runs/{NOBODY}", 404),
    Case("POST", RERUN, f"/v1/runs/{RUN}/rerun", 201),
    Case("POST", RERUN, f"/v1/runs/{RUN}/rerun", 201, {"from_step": "s0", "idempotency_key": None}),
    Case("POST", RERUN, f"/v1/runs/{RUN}/rerun", 400, {"from_step": "nope"}),
    Case("POST", RERUN, f"/v1/runs/{NOBODY}/rerun", 404),
    Case("POST", RESEND, f"/v1/dead-letters/{LETTER}/resend", 202),
    Case("POST", RESEND, f"/v1/dead-letters/{LETTER}/resend", 202, {"value": "{}"}),
    Case("POST", RESEND, f"/v1/dead-letters/{LETTER}/resend", 400, {"value": 7}),
    Case("POST", RESEND, "/v1/dead-letters/x/resend", 404),
    Case("POST", BULKS, BULKS, 200, BULK),
    Case("POST", BULKS, BULKS, 200, BULK | {"started_after": "2026-08-01T00:00:00Z", "if": None}),
    Case("POST", BULKS, BULKS, 400, BULK | {"if": "event.("}),
    Case("POST", BULKS, BULKS, 404, BULK | {"function_id": "g"}),
    Case("GET", BULKS, BULKS, 200),
    Case("DELETE", BULK_OF, "/v1/cancellations/{made}", 200),
    Case("DELETE", BULK_OF, f"/v1/cancellations/{NOBODY}", 404),
    Case("DELETE", BULK_OF, "/v1/cancellations/x", 400),
    Case("POST", SYNC, "/v1/apps/shop/sync", 200),
    Case("POST", SYNC, "/v1/apps/far/sync", 409),
    Case("POST", SYNC, "/v1/apps/nobody/sync", 404),
    Case("GET", FUNCTIONS, "/v1/apps/shop/functions", 200),
    Case("GET", FUNCTIONS, "/v1/apps/nobody/functions", 404),
    Case("POST", "/fn/register", "/fn/register", 200, BODY),
    Case("POST", "/fn/register", "/fn/register", 400, {"appName": "x", "url": "nowhere", "functions": []}),
    Case("DELETE", "/fn/remove", f"/fn/remove?url={URL}", 200),
    Case("DELETE", "/fn/remove", "/fn/remove", 400),
    Case("DELETE", "/fn/remove", "/fn/remove?url=http://127.0.0.1:2/", 404),
    Case("GET", "/", "/", 200),
    Case("GET", "/", "/", 303, headers={"accept": "text/html"}),
    Case("GET", "/health", "/health", 503),
]
DOCUMENT: Any = Description([PART]).document()
SHAPES = DOCUMENT["components"]["schemas"]


def owner(request: httpx.Request) -> httpx.Response:
    """Owns every run, and knows one of them."""
    if request.url.path == "/signals":
        known = orjson.loads(request.content)["signal"] == "task/done"
    else:
        known = NOBODY not in request.url.path
    if not known:
        return httpx.Response(404, json={"error": "unknown", "status": 404, "data": None})
    if request.url.path.endswith("/cancel"):
        return httpx.Response(200, json={"status": "Cancelled"})
    if request.url.path.endswith("/signal"):
        return httpx.Response(200, json={"taken": True})
    return httpx.Response(200, json={"run_id": RUN, "job_id": "signal/s0"})


async def ask(case: Case, sent: Any) -> httpx.Response:
    """In a world with an app, its function, a past run, a dead letter and a cancellation."""
    topics = MemoryTopics()
    config = FunctionConfig(KEY, "shop", "f", "F", URL, ())
    known: tuple[TableRecord, ...] = (
        App("shop", URL, "", NOW),
        App("far", "", "", NOW),
        Function(KEY, "shop", "f", "F", 1, config.to_json(), NOW),
    )
    for offset, record in enumerate(known):
        topics.table.apply(record, offset)

    async def sync(_url: str) -> str | None:
        return "the app answered 500"

    opened = case.path != "/health"
    async with client(served(topics, opened=opened, owner=owner, past=MemoryPast(), sync=sync)) as http:
        made = (await http.post(BULKS, json=BULK)).json().get("data", {}).get("id") if opened else None
        content = None if sent is None else orjson.dumps(sent)
        return await http.request(case.method, case.asked.format(made=made), content=content, headers=case.headers)


def described(case: Case) -> Any:
    return DOCUMENT["paths"][case.path][case.method.lower()]


def schema_of(described: Any) -> Any:
    return described["content"]["application/json"]["schema"]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_answers_are_as_described(case: Case) -> None:
    """Each status that is answered is in the document, and the answer has its shape."""
    response = await ask(case, case.sent)
    assert response.status_code == case.status, response.text
    said = described(case)["responses"][str(case.status)]
    if "$ref" in said:
        said = DOCUMENT["components"]["responses"][said["$ref"].rpartition("/")[2]]
    if "content" in said:
        assert problems(response.json(), schema_of(said), SHAPES) == []
    else:
        assert response.content == b""


@pytest.mark.parametrize("case", [case for case in CASES if case.status < 300 and case.sent is not None], ids=str)
async def test_bodies_are_taken_as_described(case: Case) -> None:
    """What is accepted fits the description; what is said to be required is refused when it is missing."""
    wanted = described(case)["requestBody"]
    assert problems(case.sent, schema_of(wanted), SHAPES) == []
    for name in schema_of(wanted).get("required", ()):
        refused = await ask(case, {key: value for key, value in case.sent.items() if key != name})
        assert refused.status_code == 400, name
    if wanted["required"]:
        assert (await ask(case, None)).status_code == 400


def test_every_success_is_tried() -> None:
    """So that no description goes without a look at what is really answered (health needs a Kafka for its yes)."""
    tried = {(case.method, case.path, case.status) for case in CASES}
    successes = {(one.method, one.path, status) for one in PART.operations for status in one.answers if status < 400}
    assert successes - tried == {("GET", "/health", 200)}
