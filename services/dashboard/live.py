"""Word to open pages that something changed: server-sent events, behind the same login as the pages.

One question to history a moment, however many pages follow, and none when nobody does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from ..errors import PenstockError
from ..history.change_list import Change
from .desk import Desk
from .guard import HEADERS

LOOK_SECONDS = 0.5
ALIVE_SECONDS = 15.0
MAX_FOLLOWERS = 500
#: A page that does not read what it is told is told to reload instead.
MAX_UNREAD = 50
REFRESH = b"event: refresh\ndata: {}\n\n"
ALIVE = b": alive\n\n"


@dataclass(slots=True)
class Watch:
    """Looks at history while somebody follows, and tells all followers."""

    desk: Desk
    followers: set[asyncio.Queue[bytes]] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None

    async def follow(self) -> AsyncIterator[bytes]:
        """What changes from now on, as server-sent events."""
        told: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNREAD)
        self.followers.add(told)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            # Whatever changed before this connection stood is on the page after one refresh.
            yield REFRESH
            while True:
                try:
                    async with asyncio.timeout(ALIVE_SECONDS):
                        message = await told.get()
                except TimeoutError:
                    message = ALIVE
                yield message
        finally:
            self.followers.discard(told)

    async def _look(self) -> None:
        sequence: int | None = None
        while self.followers:
            try:
                sequence = await self._tell(sequence)
            except PenstockError:  # history is away: pages say so themselves when they are asked for
                sequence = None
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, sequence: int | None) -> int:
        changes = self.desk.history.changes
        if sequence is None:
            latest = await self.desk.read(changes.latest)
            self._send(REFRESH)
            return latest
        found: Sequence[Change] | None = await self.desk.read(changes.after, sequence)
        if found is None:
            return await self._tell(None)
        for change in found:
            self._send(f"event: changed\nid: {change.sequence}\ndata: {change.ids}\n\n".encode())
        return found[-1].sequence if found else sequence

    def _send(self, message: bytes) -> None:
        for told in self.followers:
            if told.full():
                while not told.empty():
                    told.get_nowait()
                message = REFRESH
            told.put_nowait(message)


class LiveView:
    """`/live`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._watch = Watch(desk)

    def routes(self) -> list[BaseRoute]:
        return [self._desk.route("/live", self.follow)]

    async def follow(self, _request: Request) -> Response:
        if len(self._watch.followers) >= MAX_FOLLOWERS:
            return Response("too many pages follow already", 503, headers=HEADERS)
        return StreamingResponse(self._watch.follow(), headers=HEADERS, media_type="text/event-stream")
