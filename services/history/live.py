"""`/v1/live`: tells open pages what changed, as server-sent events.

Only ids and kinds are told, after the rows are visible; pages then load what they show. One task asks the database, a
few times a second, while at least one page listens, and none when nobody does. A page that was away goes on from
the last number it saw (`Last-Event-ID`); when that is no longer kept, or it cannot follow, it is told to `refresh`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from itertools import chain

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..errors import InvalidInput, Unavailable
from . import asked
from .change_list import Change, ChangeList
from .changes import MAX_IDS
from .endpoints import failure

log = logging.getLogger(__name__)

#: Bounds what a page hears: about two messages a second.
INTERVAL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
MAX_LISTENERS = 200
_RUN_KINDS = ("started", "changed", "ended")
_REFRESH = b"event: refresh\ndata: {}\n\n"
_ALIVE = b": alive\n\n"


class Live:
    """All listeners of one process."""

    def __init__(self, changes: ChangeList, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._changes = changes
        self._interval = interval_seconds
        self._moved = asyncio.Event()
        self._latest: int | None = None
        """The number of the latest change that was seen; None before anybody asked."""
        self._listeners = 0
        self._following: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        return self._listeners

    @property
    def is_following(self) -> bool:
        """True while the database is asked."""
        return self._following is not None

    async def endpoint(self, request: Request) -> Response:
        """Open a stream, from `Last-Event-ID` or `after` on, else from now."""
        if self._listeners >= MAX_LISTENERS:
            return failure(503, f"{MAX_LISTENERS} pages listen already: close one", {"retry-after": "10"})
        try:
            after = _after(request)
            latest = await asyncio.to_thread(self._changes.latest)
            self._saw(latest)
        except InvalidInput as error:
            return failure(400, str(error))
        except Unavailable as error:
            return failure(503, str(error), {"retry-after": "1"})
        stream = self._stream(latest if after is None else after)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(self, after: int) -> AsyncIterator[bytes]:
        self._join()
        try:
            # At once, so that the page knows that it is connected, and from where.
            yield f"retry: 1000\nid: {after}\nevent: hello\ndata: {{}}\n\n".encode()
            async with aclosing(self._messages(after)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._leave()

    async def _messages(self, after: int) -> AsyncGenerator[bytes, None]:
        while True:
            if not await self._something_after(after):
                yield _ALIVE
                continue
            try:
                found = await asyncio.to_thread(self._changes.after, after)
                is_behind = found == [] and await asyncio.to_thread(self._changes.latest) >= after
            except Unavailable as error:
                log.debug("live: %s", error)
                await asyncio.sleep(self._interval)
                continue
            if found:
                after = found[-1].sequence
                yield _message(found)
            elif not is_behind:
                # What came in between is no longer kept, or the database is another one.
                after = self._latest or 0
                yield f"id: {after}\n".encode() + _REFRESH
            await asyncio.sleep(self._interval)

    async def _something_after(self, after: int) -> bool:
        """True as soon as there is something new; False when a sign of life is due."""
        end = asyncio.get_running_loop().time() + HEARTBEAT_SECONDS
        while self._latest in (None, after):
            moved = self._moved
            try:
                await asyncio.wait_for(moved.wait(), max(end - asyncio.get_running_loop().time(), 0))
            except TimeoutError:
                return False
        return True

    def _join(self) -> None:
        self._listeners += 1
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    def _leave(self) -> None:
        self._listeners -= 1
        if self._listeners == 0 and self._following is not None:
            self._following.cancel()
            self._following = None

    async def _follow(self) -> None:
        """Ask what the latest change is, as long as anybody listens."""
        while True:
            try:
                latest = await asyncio.to_thread(self._changes.latest)
            except Unavailable as error:
                log.debug("live: %s", error)
            else:
                self._saw(latest)
            await asyncio.sleep(self._interval)

    def _saw(self, latest: int) -> None:
        if latest != self._latest:
            self._latest = latest
            self._moved.set()
            self._moved = asyncio.Event()


def _after(request: Request) -> int | None:
    given = request.headers.get("last-event-id") or asked.text(request.query_params, "after")
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise InvalidInput(f"after must be the id of a message of this stream, not {given[:40]!r}")
    return int(given)


def _message(found: Sequence[Change]) -> bytes:
    return f"id: {found[-1].sequence}\nevent: changed\ndata: ".encode() + merged(found) + b"\n\n"


def merged(found: Sequence[Change]) -> bytes:
    """Several batches as one message, each id once, the latest first; bounded as each of them is."""
    batches = [orjson.loads(change.ids) for change in reversed(found)]
    runs = {kind: _merged_ids(batch["runs"][kind] for batch in batches) for kind in _RUN_KINDS}
    events = _merged_ids(batch["events"] for batch in batches)
    told: dict[str, object] = {
        "runs": {kind: ids[:MAX_IDS] for kind, ids in runs.items()},
        "events": events[:MAX_IDS],
        "functions": any(batch["functions"] for batch in batches),
        "dead_letters": any(batch["dead_letters"] for batch in batches),
        "more": any(batch["more"] for batch in batches) or max(map(len, (*runs.values(), events))) > MAX_IDS,
    }
    return orjson.dumps(told)


def _merged_ids(lists: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(lists)))
