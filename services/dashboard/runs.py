"""The list of runs, and what is done to many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidInput
from ..history.paging import Counted, PageRequest
from ..history.run_list import RunFilter, TimeField
from .api import Answer
from .desk import Desk, back
from .forms import read_form
from .search import PERIODS, RUN_STATUSES, Search, link, older_link, search

#: A bulk action takes this many runs at a time; the page then shows how far it has come, and goes on.
PORTION = 200
AT_ONCE = 16
BULK = {"cancel": "Cancel", "rerun": "Rerun"}


@dataclass(frozen=True, slots=True)
class RunsView:
    """`/runs` and `/runs/bulk`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        route = self.desk.route
        return [
            route("/runs", self.all),
            route("/runs/bulk", self.ask, "GET"),
            route("/runs/bulk", self.act, "POST"),
        ]

    async def all(self, request: Request) -> Response:
        wanted = search(request.query_params, self.desk.now())
        if wanted.jump:
            return await self._jump(wanted.jump)
        filters, runs = run_filter(wanted), self.desk.history.runs
        page = PageRequest(limit=wanted.limit, cursor=wanted.cursor)
        listed, counts = await asyncio.gather(
            self.desk.read(runs.page, filters, page, order=_order(wanted), output=True),
            self.desk.read(runs.count_by_status, run_filter(wanted, statuses=())),
        )
        return self.desk.page(
            request,
            "runs.html",
            wanted=wanted,
            rows=listed.rows,
            complete=listed.complete,
            older=older_link("/runs", request, listed),
            newest=link("/runs", _without(request, "cursor")),
            statuses=status_links(request, wanted, counts),
            functions=sorted(f.config.key for f in self.desk.functions().functions()),
            periods=PERIODS,
            bulk={action: link("/runs/bulk", _without(request, "cursor"), action=action) for action in BULK},
        )

    async def _jump(self, wanted: str) -> Response:
        if await self.desk.read(self.desk.history.runs.one, wanted) is not None:
            return back(f"/runs/{wanted}")
        if await self.desk.read(self.desk.history.events.one, wanted) is not None:
            return back(f"/events/{wanted}")
        return back("/runs", f"neither a run nor an event has the id {wanted}", bad=True)

    async def ask(self, request: Request) -> Response:
        """How many it would be, before anything is done."""
        action, wanted = self._bulk(request)
        filters = bulk_filter(action, wanted)
        counted = await self.desk.read(self.desk.history.runs.count, filters)
        listed = await self.desk.read(self.desk.history.runs.page, filters, PageRequest(limit=10))
        return self.desk.page(
            request,
            "bulk.html",
            action=action,
            title=BULK[action],
            wanted=wanted,
            counted=counted,
            rows=listed.rows,
            until=wanted.until or self.desk.now(),
            fields=request.query_params.multi_items(),
            done=0,
            failed=(),
            cursor="",
            finished=False,
        )

    async def act(self, request: Request) -> Response:
        """Do a portion, then show how far it has come; the page goes on by itself until all is done."""
        form = await read_form(request)
        action, wanted = self._bulk(request)
        until = form.get("until", "")
        if not (until.isascii() and until.isdigit() and len(until) < 16):
            raise InvalidInput("the form is incomplete: open the bulk page again")
        filters = bulk_filter(action, wanted, int(until))
        cursor, done = form.get("cursor", ""), _number(form.get("done"))
        listed = await self.desk.read(self.desk.history.runs.page, filters, PageRequest(limit=PORTION, cursor=cursor))
        errors = await self._each(action, [row.run_id for row in listed.rows])
        return self.desk.page(
            request,
            "bulk.html",
            action=action,
            title=BULK[action],
            wanted=wanted,
            counted=None,
            rows=(),
            until=until,
            fields=request.query_params.multi_items(),
            done=done + len(listed.rows) - len(errors),
            failed=errors[:20],
            cursor=listed.next_cursor,
            finished=not listed.next_cursor,
        )

    async def _each(self, action: str, run_ids: Sequence[str]) -> list[str]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(run_id: str) -> str | None:
            async with room:
                answer = await act_on(self.desk, action, run_id)
            return None if answer.good or answer.status == 409 else f"{run_id}: {answer.error}"

        return [error for error in await asyncio.gather(*map(one, run_ids)) if error]

    def _bulk(self, request: Request) -> tuple[str, Search]:
        action = request.query_params.get("action", "")
        if action not in BULK:
            raise InvalidInput(f"action must be one of {', '.join(BULK)}, not {action[:40]!r}")
        return action, search(request.query_params, self.desk.now())


async def act_on(desk: Desk, action: str, run_id: str, from_step: str = "") -> Answer:
    """Do it to one run, by the API."""
    if action == "cancel":
        return await desk.api.ask("DELETE", f"/v1/runs/{run_id}")
    return await desk.api.ask("POST", f"/v1/runs/{run_id}/rerun", {"from_step": from_step} if from_step else {})


def run_filter(wanted: Search, statuses: tuple[str, ...] | None = None, until: int | None = None) -> RunFilter:
    """The search as history's filter."""
    return RunFilter(
        statuses=wanted.statuses if statuses is None else statuses,
        functions=wanted.functions,
        apps=wanted.apps,
        since=wanted.since,
        until=until if until is not None else wanted.until,
        user=wanted.user,
        text=wanted.text,
        cel=wanted.cel,
        replay=wanted.replay,
    )


def bulk_filter(action: str, wanted: Search, until: int | None = None) -> RunFilter:
    """Only runs that the action is for: what has ended cannot be cancelled, what runs is not repeated.

    Bounded by the moment the page was made, so that reruns are not rerun.
    """
    fitting = ("Running",) if action == "cancel" else tuple(s for s in RUN_STATUSES if s != "Running")
    statuses = tuple(s for s in wanted.statuses if s in fitting) or (() if wanted.statuses else fitting)
    if not statuses:
        raise InvalidInput(f"none of the chosen statuses can be meant: to {action} takes {', '.join(fitting)}")
    return run_filter(wanted, statuses, until)


@dataclass(frozen=True, slots=True)
class StatusLink:
    """A status to filter by, and how many there are."""

    status: str
    url: str
    chosen: bool
    count: int
    exact: bool


def status_links(request: Request, wanted: Search, counts: Mapping[str, Counted]) -> list[StatusLink]:
    """Each status as a switch that keeps the other filters."""
    made = []
    for status in RUN_STATUSES:
        chosen = status in wanted.statuses
        others = [s for s in wanted.statuses if s != status] + ([] if chosen else [status])
        rest = [pair for pair in _without(request, "cursor") if pair[0] != "status"]
        found = counts.get(status)
        url = link("/runs", [*rest, *(("status", s) for s in others)])
        made.append(StatusLink(status, url, chosen, found.count if found else 0, found.exact if found else True))
    return made


def _without(request: Request, *names: str) -> list[tuple[str, str]]:
    return [pair for pair in request.query_params.multi_items() if pair[0] not in names]


def _order(wanted: Search) -> TimeField:
    return cast(TimeField, wanted.order)


def _number(given: object) -> int:
    text = str(given or "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
