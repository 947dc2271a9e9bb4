"""Bodies: read whole, bounded in size, time and memory."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope

from penstock.errors import LimitExceeded, Overloaded
from penstock.ingest.bodies import BodyReader


def scope(length: bytes | None = None) -> Scope:
    headers = [] if length is None else [(b"content-length", length)]
    return {"type": "http", "headers": headers}


def chunks(*parts: bytes, ending: str = "http.request") -> Receive:
    """A connection over which these parts come; all but the last announce more."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages[-1]["more_body"] = ending != "http.request"
    messages.append({"type": ending})
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    return receive


async def test_parts_become_a_whole() -> None:
    """However the body is cut, it arrives in one piece."""
    assert await BodyReader(100).read(scope(), chunks(b"one")) == b"one"
    assert await BodyReader(100).read(scope(b"6"), chunks(b"one", b"", b"two")) == b"onetwo"


async def test_a_declared_length_is_believed_when_it_is_too_large() -> None:
    """Nothing is received of a body that says it will not fit."""
    with pytest.raises(LimitExceeded, match="larger than 5 bytes"):
        await BodyReader(5).read(scope(b"6"), chunks(b""))


async def test_a_body_that_grows_too_large_is_cut_off() -> None:
    """Whatever it declared: the limit is on what comes."""
    with pytest.raises(LimitExceeded):
        await BodyReader(5).read(scope(b"x"), chunks(b"one", b"two", b"three"))
    with pytest.raises(LimitExceeded):
        await BodyReader(5).read(scope(), chunks(b"onetwo"))


async def test_exactly_the_limit_fits() -> None:
    """The limit is the largest that is accepted."""
    assert await BodyReader(6).read(scope(b"6"), chunks(b"one", b"two")) == b"onetwo"


async def test_a_sender_that_hangs_up_is_told_apart() -> None:
    """Before the first part or between two."""
    with pytest.raises(ConnectionAbortedError):
        await BodyReader(100).read(scope(), chunks(b"one", ending="http.disconnect"))


async def test_all_bodies_together_are_bounded() -> None:
    """Many large requests at once are sent away before they fill the memory, and what they held is given back."""
    reader = BodyReader(100, max_bytes_at_once=5)
    with pytest.raises(Overloaded):
        await reader.read(scope(), chunks(b"onetwo", b"three"))
    assert reader.held == 0
    assert await reader.read(scope(), chunks(b"one", b"two")) == b"onetwo"
    assert reader.held == 0
