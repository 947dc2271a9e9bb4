"""Whatever is asked of the read API (lists, time ranges, cursors, live stream): 200, or 4xx that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from penstock.history import api
from penstock.history.database import prepare, writer_engine
from penstock.history.live import Live
from penstock.history.read import read_model
from penstock.history.users import UserNames
from penstock.history.write import HistoryWriter, Move
from penstock.messages.ids import FunctionKey
from penstock.messages.records import App, Function, Record, RunStarted
from penstock.settings import HistorySettings
from tests.property.effort import examples
from tests.unit.ingest.doubles import NOW, MemoryTopics, client, served

from .test_history_fuzz import RUN, folded

LISTS = ("runs", "runs/count", "events", "events/count", "functions", "functions/overview", "functions/stats", "apps")
MORE = ("functions/versions", "waits", "waits/count", "dead-letters", f"runs/{RUN}", f"runs/{RUN}/jobs")
NAMES = (
    *("limit", "cursor", "direction", "status", "function", "app", "time_field", "from", "until", "user", "text"),
    *("cel", "replay", "parent", "rerun_of", "order", "name", "internal", "received_after", "received_before", "kind"),
    *("topic", "buckets", "archived", "after"),
)
TIMES = ("0", "-1", "9" * 15, "9" * 19, "²", "2026-08-31T12:00:00Z", "0001-01-01", "9999-12-31T23:59:59-23:59")
words = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        [
            *TIMES,
            *("", "1", "100", "asc", "desc", "started", "ended", "queued", "Failed", "ſkipped", "true", "a/f", "\0"),
            *(
                RUN,
                f"{NOW}.{RUN}",
                f"{'9' * 18}.{RUN}",
                f"-1.{RUN}",
                f"²1.{RUN}",
                f"1~{RUN}~j",
                "1~~",
                f"1~\0~{'j' * 5000}",
            ),
            *("event.data.x == 1", "event.data[", "event == " + "(" * 3000, "output in [1", "x" * 5000),
        ]
    ),
)
queries = st.lists(st.tuples(st.sampled_from(NAMES), words), max_size=6).map(urlencode) | st.sampled_from(
    ["text=%ff%00", "cursor=%ed%a0%80", "&&==;", "function=a&" * 900, "from=2026-08-31T12:00:00+02:00"]
)


@pytest.fixture(scope="module")
def asked() -> Iterator[HistorySettings]:
    """A history with a run, and a function whose configuration nobody can read."""
    records: list[tuple[str, bytes, Record]] = [
        ("functions", b"", Function(FunctionKey("a/f"), "a", "f", "f", 1, "x", NOW)),
        ("functions", b"", App("a", "u", "c", NOW)),
        ("state", f"run/{RUN}".encode(), RunStarted(RUN, FunctionKey("a/f"), 1, ("{}",), ("i",), 1, NOW, NOW)),
    ]
    with TemporaryDirectory() as folder:
        settings = HistorySettings(data_dir=Path(folder))
        engine = writer_engine(settings.database_url())
        prepare(engine, UserNames())
        HistoryWriter(engine, "c").write(folded(records), [Move(("e", 0), None, 1)])
        engine.dispose()
        yield settings


@pytest.fixture(scope="module")
def routes(asked: HistorySettings) -> list[BaseRoute]:
    """The API over that history."""
    return api.routes(asked)


def answer_to(routes: list[BaseRoute], method: str, path: str, **sent: object) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with client(served(MemoryTopics(), more_routes=routes)) as http:
            return await http.request(method, path, **sent)  # type: ignore[arg-type]

    return asyncio.run(ask())


@settings(deadline=None, max_examples=examples(50))
@given(st.sampled_from((*LISTS, *MORE)), queries)
@example("runs", urlencode({"cursor": f"²1.{RUN}", "order": "started"}))
@example("waits", urlencode({"cursor": f"1~\0~{'j' * 5000}"}))
@example("functions/stats", urlencode({"function": "a/f", "from": "0", "until": "9" * 15, "buckets": "1"}))
@example("functions/stats", urlencode({"function": "a/f", "from": "9" * 15, "until": "0"}))
def test_no_question_breaks_a_list(routes: list[BaseRoute], path: str, query: str) -> None:
    """An answer in the envelope, or the parameter that is wrong."""
    answer = answer_to(routes, "GET", f"/v1/{path}?{query}")
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert answer.json()["metadata"]["fetched_at"]
    else:
        assert answer.json()["error"]


@settings(deadline=None, max_examples=examples(30))
@given(words)
@example("..")
def test_no_id_breaks_a_detail(routes: list[BaseRoute], name: str) -> None:
    """It is not known, or it is no id."""
    quoted = quote(name, safe="")
    for path in (f"runs/{quoted}", f"runs/{quoted}/steps", f"events/{quoted}", f"dead-letters/{quoted}"):
        assert answer_to(routes, "GET", f"/v1/{path}").status_code in (200, 307, 400, 404)


header_values = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n\0"))


@settings(deadline=None, max_examples=examples(50))
@given(queries, st.none() | header_values | st.sampled_from([b"0", b"1", b"9" * 18, b"9" * 40, b"-1", b"\xb2"]))
def test_no_place_breaks_the_live_stream(asked: HistorySettings, query: str, last_seen: bytes | None) -> None:
    """It opens with a greeting, from any number on, or says what a place is."""
    headers = [] if last_seen is None else [(b"last-event-id", last_seen)]
    scope = {"type": "http", "query_string": query.encode(), "headers": headers}

    async def opened() -> tuple[Response, bytes]:
        live = Live(read_model(asked).changes)
        answer = await live.endpoint(Request(scope))
        if not isinstance(answer, StreamingResponse):
            return answer, bytes(answer.body)
        try:
            async with asyncio.timeout(5):
                return answer, await anext(answer.body_iterator)  # type: ignore[call-overload]
        finally:
            await answer.body_iterator.aclose()  # type: ignore[attr-defined]
            assert live.listeners == 0

    answer, said = asyncio.run(opened())
    assert answer.status_code in (200, 400)
    assert (b"event: hello" if answer.status_code == 200 else b"error") in said


def test_a_function_that_cannot_be_read_stays_in_graphql(routes: list[BaseRoute]) -> None:
    """Without URL and triggers; what was asked besides is answered."""
    query = "{functions{slug url triggers{value}} apps{name}}"
    answer = answer_to(routes, "POST", "/v0/gql", json={"query": query}).json()
    assert answer == {"data": {"functions": [{"slug": "f", "url": None, "triggers": None}], "apps": [{"name": "a"}]}}
