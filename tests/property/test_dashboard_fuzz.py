"""Whatever is typed, sent or kept in a cookie: a page answers with less than 500, says what to do, lets nobody in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.dashboard.api import Api
from penstock.dashboard.desk import Desk
from penstock.dashboard.rendering import Renderer
from penstock.dashboard.session import COOKIE, Sessions
from penstock.dashboard.site import routes
from penstock.errors import Unavailable
from penstock.history.database import prepare, writer_engine
from penstock.history.read import HistoryReadModel, read_model
from penstock.history.users import UserNames
from penstock.history.write import HistoryWriter, Move
from penstock.messages.ids import FunctionKey
from penstock.messages.records import Function, Record
from penstock.settings import HistorySettings
from tests.property.effort import examples
from tests.unit.functions.bodies import body, function
from tests.unit.ingest.doubles import NOW, MemoryTopics, client, served

from .test_history_fuzz import RUN, folded, written

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
OPEN = Sessions("", (), open=True, lifetime_ms=3_600_000)
LOCKED = Sessions("the password", ("signkey-test-abcd",), open=False, lifetime_ms=3_600_000)


class NoStreams:
    """Kafka is away."""

    def read(self) -> object:
        raise Unavailable("Kafka does not answer")


@dataclass(frozen=True, slots=True)
class Site:
    """A dashboard over a history; each request has a server of its own."""

    history: HistoryReadModel
    sessions: Sessions = OPEN

    def ask(self, method: str, path: str, content: bytes = b"", headers: object = None) -> httpx.Response:
        return asyncio.run(self._ask(method, path, content, headers))

    async def _ask(self, method: str, path: str, content: bytes, headers: object) -> httpx.Response:
        topics = MemoryTopics()
        inside = served(topics)
        async with client(inside) as api:
            await api.post("/fn/register", content=body(function()))
            desk = Desk(
                history=self.history,
                functions=lambda: topics.table,
                streams=NoStreams(),  # type: ignore[arg-type]
                api=Api(api, "k"),
                sessions=self.sessions,
                renderer=RENDERER,
                now=lambda: NOW,
                mode="dev",
            )
            async with client(served(MemoryTopics(), more_routes=routes(desk))) as http:
                return await http.request(method, path, content=content, headers=headers)  # type: ignore[arg-type]


RENDERER = Renderer(lambda: NOW)


def history_of(folder: str, records: list[tuple[str, bytes, Record]]) -> HistoryReadModel:
    asked = HistorySettings(data_dir=Path(folder))
    engine = writer_engine(asked.database_url())
    prepare(engine, UserNames())
    HistoryWriter(engine, "c").write(folded(records), [Move(("e", 0), None, 1)])
    engine.dispose()
    return read_model(asked)


@pytest.fixture(scope="module")
def history() -> Iterator[HistoryReadModel]:
    """With a function in it whose configuration nobody can read."""
    with TemporaryDirectory() as folder:
        yield history_of(folder, [("functions", b"", Function(FunctionKey("a/f"), "a", "f", "f", 1, "x", NOW))])


words = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("", "0", "-1", "9" * 15, "9" * 40, "1e999", "nan", "\0", "\r\nx: y", "%", "€", "..", "../x", "//evil"),
            *(RUN, f"{NOW}.{RUN}", f"1~{RUN}~j", f"1~\0~{'j' * 5000}", "z" * 26, "started", "cancel", "rerun"),
            *("2026-08-31T12:00", "0001-01-01", "9999-12-31T23:59:59.999999-23:59", "24h", "30d", "Running", "true"),
            *("event.data.x == 1", "event.data[", "has(event.data.x)", "event == " + "(" * 3000, "output in [1"),
            *("[" * 300 + "]" * 300, '{"name":"shop/a"}', "x" * 5000),
        ]
    ),
)
NAMES = (
    *("q", "status", "function", "app", "name", "internal", "period", "from", "to", "user", "replay", "order"),
    *("cursor", "kind", "topic", "action", "like", "until", "done", "from_step", "value", "event", "if", "limit"),
    *("rate", "dry_run", "secret", "theme", "starting"),
)
fields = st.lists(st.tuples(st.sampled_from(NAMES), words), max_size=5)
queries = fields.map(urlencode) | st.sampled_from(["q=%ff%00", "cursor=%ed%a0%80", "&&==;", "q=" + "%41" * 9000])
PAGES = (
    *("/runs", "/runs/bulk", "/events", "/events/send", "/functions", "/apps", "/streams", "/waits", "/dead-letters"),
    *("/replays/new", "/login", "/functions/a/f", f"/runs/{RUN}", f"/runs/{RUN}/output", f"/dead-letters/{RUN}"),
)
ACTIONS = (
    *("/runs/bulk", f"/runs/{RUN}/cancel", f"/runs/{RUN}/rerun", "/events/send", "/replays", f"/replays/{RUN}/pause"),
    *("/apps/shop/sync", "/login", "/theme", "/logout", f"/dead-letters/{RUN}/resend"),
)
forms = st.one_of(
    fields.map(urlencode).map(str.encode),
    st.binary(max_size=100),
    st.sampled_from([b"a=b&" * 101, b"q=" + b"x" * 17_000, b"event=" + b"%5B" * 300 + b"%5D" * 300]),
)
cookie_values = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0"))
cookies = st.lists(
    st.tuples(st.sampled_from([b"penstock_session", b"penstock_theme", b"penstock_note", b"x"]), cookie_values),
    max_size=4,
).map(lambda pairs: b"; ".join(name + b"=" + value for name, value in pairs))


@settings(deadline=None, max_examples=examples(30))
@given(page=st.sampled_from(PAGES), query=queries, cookie=cookies)
@example("/functions", "", b"")
@example("/functions/a/f", "period=7d", b"penstock_note=%ff%00")
def test_no_address_breaks_a_page(history: HistoryReadModel, page: str, query: str, cookie: bytes) -> None:
    """A page, another address, or a problem in words; nothing that a browser would run."""
    answer = Site(history).ask("GET", f"{page}?{query}", headers={"cookie": cookie})
    assert answer.status_code in (200, 303, 400, 404, 503), answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if answer.status_code >= 400:
        assert answer.text.strip()
    if answer.status_code == 503:
        assert page == "/streams" or "Kafka" in answer.text


@settings(deadline=None, max_examples=examples(30))
@given(action=st.sampled_from(ACTIONS), query=queries, form=forms)
@example("/theme", "", urlencode({"theme": "€"}).encode())
@example("/replays", "", b"function=a&limit=nan")
@example("/replays", "", b"function=a&limit=1e999")
@example("/replays", "", b"function=a&limit=" + b"9" * 40)
@example("/replays", "", b"function=a&rate=nan")
@example("/events/send", "", b"event=" + b"%5B" * 300 + b"%5D" * 300)
@example("/runs/bulk", "action=cancel", b"until=999999999999999&cursor=x")
def test_no_form_breaks_an_action(history: HistoryReadModel, action: str, query: str, form: bytes) -> None:
    """Done, or refused in words; the next page is one of ours."""
    answer = Site(history).ask("POST", f"{action}?{query}", form, SAME_ORIGIN)
    assert answer.status_code in (200, 303, 400, 401, 404, 405, 429), answer.text
    if answer.status_code == 303:
        place = answer.headers["location"]
        assert place.startswith("/")
        assert not place.startswith(("//", "/\\"))


@settings(deadline=None, max_examples=examples(30))
@given(path=st.text(max_size=60) | words)
@example("x" * 5000 + ".css")
@example("!" * 30_000)
def test_no_path_breaks_the_site(history: HistoryReadModel, path: str) -> None:
    """Whatever stands where a name or an id is expected."""
    quoted = urlencode({"": path})[1:].replace("+", "%20")
    # As browsers send them, and as others may: unquoted where the grammar of addresses allows it.
    asked = quoted.replace("%21", "!")
    site = Site(history)
    for before, after in (("/assets/a/", ""), ("/runs/", ""), ("/functions/", ""), ("/events/", "/data")):
        assert site.ask("GET", f"{before}{asked}{after}").status_code in (200, 303, 307, 400, 404)
    answer = site.ask("POST", f"/apps/{asked}/sync", headers=SAME_ORIGIN)
    assert answer.status_code in (303, 400, 404, 405)


@settings(deadline=None, max_examples=examples(30))
@given(page=st.sampled_from(PAGES), cookie=cookies, secret=st.text(max_size=40), to=words)
@example("/runs", f"{COOKIE}={NOW + 1}.".encode(), "", "//evil")
@example("/runs", f"{COOKIE}=\xb2.\xff".encode("latin-1"), "é", "/\\evil")
def test_nobody_gets_in_by_chance(history: HistoryReadModel, page: str, cookie: bytes, secret: str, to: str) -> None:
    """No cookie that is not ours opens a page, no other secret a session, and nobody is sent to another site."""
    site = Site(history, LOCKED)
    answer = site.ask("GET", page, headers={"cookie": cookie})
    assert answer.status_code == (200 if page == "/login" else 303)
    assert page == "/login" or answer.headers["location"].startswith("/login?")
    query = urlencode({"to": to})
    entered = site.ask("POST", f"/login?{query}", urlencode({"secret": secret}).encode(), SAME_ORIGIN)
    assert entered.status_code == 401
    assert COOKIE not in entered.headers.get("set-cookie", "")
    known = site.ask("POST", f"/login?{query}", urlencode({"secret": "the password"}).encode(), SAME_ORIGIN)
    assert known.status_code == 303
    assert known.headers["location"].startswith("/")
    assert not known.headers["location"].startswith(("//", "/\\"))


SHOWN = ("/runs", f"/runs/{RUN}", f"/runs/{RUN}/output", "/events", "/events?q=event.data.x", "/functions")
SHOWN_TOO = ("/functions/a/f", "/apps", "/waits", "/dead-letters", "/runs/bulk?action=rerun")


@settings(deadline=None, max_examples=examples(6))
@given(written())
def test_what_others_wrote_is_shown(records: list[tuple[str, bytes, Record]]) -> None:
    """Any time, any text for JSON, any record under any key: the pages show it, or pass it over."""
    with TemporaryDirectory() as folder:
        site = Site(history_of(folder, records))
        for page in (*SHOWN, *SHOWN_TOO):
            answer = site.ask("GET", page)
            assert answer.status_code == 200, (page, answer.text)


def test_a_function_that_cannot_be_read_is_shown_as_such(history: HistoryReadModel) -> None:
    """In the list beside the others, and on its page with what was found there."""
    site = Site(history)
    assert "unreadable" in site.ask("GET", "/functions").text
    assert "a stored configuration cannot be read" in site.ask("GET", "/functions/a/f").text
