"""Apps are called in process, whatever they are made with."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import PenstockError
from penstock.messages.signature import sign
from penstock.runs.replies import Failed, Returned
from penstock.testing.app import ORIGIN, AppUnderTest

T0 = 1_790_000_000_000
URL = f"{ORIGIN}/api?stepId=step"


class Asgi:
    """Answers 200 with what it was sent; keeps the headers."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.headers: dict[bytes, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.headers = dict(scope["headers"])
        body = (await receive())["body"]
        headers = [(b"x-inngest-sdk", b"py:v1")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("x-inngest-sdk", "py:v1")])
    return [environ["wsgi.input"].read()]


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a bug in the app")


@pytest.mark.parametrize("app", [Asgi(), wsgi])
async def test_both_kinds_of_app_are_called(app: Any) -> None:
    """An ASGI application in the loop, a WSGI one in a thread."""
    under_test = AppUnderTest(app, "/api", "dev", None)
    assert await under_test.call(URL, {}, b'{"b":1}', T0) == Returned('{"b":1}')
    await under_test.close()


async def test_an_app_that_breaks_is_an_answer() -> None:
    """As over the network: the run's rules judge it."""
    under_test = AppUnderTest(broken, "/api", "dev", None)
    assert isinstance(await under_test.call(URL, {}, b"{}", T0), Failed)
    await under_test.close()


async def test_signed_calls() -> None:
    """With a key, by the world's time, over the canonical body."""
    app = Asgi()
    under_test = AppUnderTest(app, "/api", "cloud", "signkey-test-abcd")
    await under_test.call(URL, {}, b'{"b": 1, "a": 2}', T0)
    signature = sign("signkey-test-abcd", b'{"a":2,"b":1}', T0 // 1000)
    assert app.headers[b"x-inngest-signature"].decode() == signature
    await under_test.close()


async def test_an_app_that_does_not_register() -> None:
    """The message names the path and what may be missing."""
    under_test = AppUnderTest(Asgi(403), "/api", "dev", None)
    with pytest.raises(PenstockError, match=r"PUT http://app.test/api answered 403.*"):
        await under_test.sync(T0)
    await under_test.close()
