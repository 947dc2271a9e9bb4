"""Request bodies, read within bounds of size and time, all of them together within a bound of memory."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope

from ..errors import LimitExceeded, Overloaded, Unavailable

#: A sender that is this slow holds memory for nothing.
BODY_SECONDS = 60.0
#: All bodies that are being received or worked on: beyond it, a sender is asked to come back.
MAX_BYTES_AT_ONCE = 128 * 1024 * 1024


class BodyReader:
    """Reads bodies of at most `max_bytes`. One instance a process, because it counts what is held in memory."""

    def __init__(self, max_bytes: int, max_bytes_at_once: int = MAX_BYTES_AT_ONCE) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_at_once = max_bytes_at_once
        self.held = 0
        """Bytes of incomplete bodies."""

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises `LimitExceeded`, `Overloaded`, `Unavailable` (too slow) or, when the
        sender hung up and nobody waits for an answer, `ConnectionAbortedError`."""
        self._require_size(_declared(scope))
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body: bytes = message.get("body", b"")
        self._require_size(len(body))
        if not message.get("more_body", False):
            return body
        return await self._rest(body, receive)

    async def _rest(self, start: bytes, receive: Receive) -> bytes:
        body = bytearray(start)
        self.held += len(start)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    more = await self._take(body, receive)
        except TimeoutError as error:
            raise Unavailable(f"the body did not arrive within {BODY_SECONDS:g} s; send it again") from error
        finally:
            self.held -= len(body)
        return bytes(body)

    async def _take(self, body: bytearray, receive: Receive) -> bool:
        if self.held > self._max_bytes_at_once:
            raise Overloaded("too many large requests at once; send again in a moment")
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        chunk: bytes = message.get("body", b"")
        self._require_size(len(body) + len(chunk))
        body += chunk
        self.held += len(chunk)
        return bool(message.get("more_body", False))

    def _require_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise LimitExceeded(f"the body is larger than {self._max_bytes} bytes; send less in one request")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
