"""Requests to the owner of a partition: found, asked again when it has moved, and never repeated when that matters."""

from __future__ import annotations

import httpx
import pytest

from penstock.errors import Unavailable
from penstock.ingest import forwarding
from penstock.ingest.forwarding import Forwarding, Question
from tests.unit.ingest.doubles import Answering, ListedOwners


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "FIND_OWNER_SECONDS", 0.05)
    monkeypatch.setattr(forwarding, "PAUSE_SECONDS", 0.0)


async def answer(owners: ListedOwners, owner: Answering, question: Question) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.MockTransport(owner)) as outgoing:
        return await Forwarding(owners, outgoing).answer(question)


@pytest.mark.parametrize("wrong", [421, None])
async def test_a_wrong_owner_leads_to_another_question(wrong: int | None) -> None:
    """One that moved away or died is reported to the directory, and the next one asked."""

    def owner(request: httpx.Request) -> httpx.Response:
        if request.url.host == "b":
            return httpx.Response(200, json={"path": request.url.path})
        if wrong is None:
            raise httpx.ReadError("gone")
        return httpx.Response(wrong)

    owners = ListedOwners(["a:1", "b:2"])
    found = await answer(owners, owner, Question(1, "GET", "/x"))
    assert (found.status_code, found.json()) == (200, {"path": "/x"})
    assert owners.asked == [(1, None), (1, "a:1")]


async def test_what_may_have_been_heard_is_not_said_twice() -> None:
    """A question that must not be repeated fails when its answer is lost, with words that say so."""
    heard: list[bytes] = []

    def owner(request: httpx.Request) -> httpx.Response:
        heard.append(request.content)
        raise httpx.ReadTimeout("silence")

    with pytest.raises(Unavailable, match="may have done"):
        await answer(ListedOwners(["a:1"]), owner, Question(1, "POST", "/x", b"{}", repeatable=False))
    assert heard == [b"{}"]


async def test_what_was_never_sent_is_tried_elsewhere() -> None:
    """A connection that cannot be made has carried nothing."""

    def owner(request: httpx.Request) -> httpx.Response:
        if request.url.host == "b":
            return httpx.Response(200)
        raise httpx.ConnectError("refused")

    found = await answer(ListedOwners(["a:1", "b:2"]), owner, Question(1, "POST", "/x", b"{}", repeatable=False))
    assert found.status_code == 200


async def test_nobody_there_is_unavailable_within_the_bound() -> None:
    """The words say what to do."""
    with pytest.raises(Unavailable, match="no executor owns"):
        await answer(ListedOwners([None]), lambda _: httpx.Response(200), Question(1, "GET", "/x"))


async def test_executors_are_shown_the_key() -> None:
    """And one that does not know it is a matter for the operator, not for who asked: 503, with what to set."""
    shown: list[str | None] = []

    def owner(request: httpx.Request) -> httpx.Response:
        shown.append(request.headers.get("authorization"))
        return httpx.Response(401)

    async with httpx.AsyncClient(transport=httpx.MockTransport(owner)) as outgoing:
        asking = Forwarding(ListedOwners(["a:1"]), outgoing, {"authorization": "Bearer hash"})
        with pytest.raises(Unavailable, match="PENSTOCK_SIGNING_KEY"):
            await asking.answer(Question(1, "GET", "/x"))
    assert shown == ["Bearer hash"]
