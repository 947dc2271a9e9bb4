"""What runs wait for: events, signals, invoked runs, sleeps and retries, the next due first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidInput
from ..history.paging import Counted, PageRequest
from ..history.wait_list import WaitFilter
from .desk import Desk
from .search import PAGE, link, older_link, search
from .timeline import details

KINDS = {
    "wait": "events",
    "signal": "signals",
    "invoke": "invoked runs",
    "sleep": "sleeps",
    "call": "calls",
    "request": "requests",
    "cancel": "cancelling events",
}


@dataclass(frozen=True, slots=True)
class WaitsView:
    """`/waits`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        return [self.desk.route("/waits", self.all)]

    async def all(self, request: Request) -> Response:
        wanted, query = search(request.query_params, self.desk.now()), request.query_params
        kinds = tuple(query.getlist("kind"))
        if set(kinds) - KINDS.keys():
            raise InvalidInput(f"kind must be one of {', '.join(KINDS)}, not {kinds[0][:40]!r}")
        history = self.desk.history
        filters = WaitFilter(kinds=kinds, text=wanted.query, function=(wanted.functions or ("",))[0])
        listed, counts = await asyncio.gather(
            self.desk.read(history.waits.page, filters, PageRequest(limit=PAGE, cursor=wanted.cursor)),
            self.desk.read(history.waits.counts),
        )
        pairs = query.multi_items()
        return self.desk.page(
            request,
            "waits.html",
            wanted=wanted,
            rows=[(row, details(row.detail)) for row in listed.rows],
            kinds=[kind_link(kind, counts.get(kind), kinds, pairs) for kind in KINDS],
            older=older_link("/waits", request, listed),
            newest=link("/waits", pairs, cursor=""),
        )


@dataclass(frozen=True, slots=True)
class KindLink:
    """A kind to filter by, and how many there are."""

    label: str
    url: str
    chosen: bool
    counted: Counted


def kind_link(
    kind: str, counted: Counted | None, chosen: tuple[str, ...], pairs: Sequence[tuple[str, str]]
) -> KindLink:
    """A switch: chosen it is the only kind, chosen again all are shown."""
    url = link("/waits", pairs, kind="" if kind in chosen else kind, cursor="")
    return KindLink(KINDS[kind], url, kind in chosen, counted or Counted(0))
