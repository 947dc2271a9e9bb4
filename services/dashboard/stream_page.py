"""The page of topics and consumer groups."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .desk import Desk


@dataclass(frozen=True, slots=True)
class StreamsView:
    """`/streams`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        return [self.desk.route("/streams", self.show)]

    async def show(self, request: Request) -> Response:
        streams = await asyncio.to_thread(self.desk.streams.read)
        return self.desk.page(request, "streams.html", streams=streams)
