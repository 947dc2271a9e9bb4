"""Events: the list, one of them with what it did and why it did nothing else, and sending one to try things out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import Unavailable
from ..functions.config import EventTrigger
from ..history.event_list import EventFilter
from ..history.paging import PageRequest
from ..history.past import event_of
from ..history.read import Found
from .desk import Desk, NotFound, back
from .forms import read_form
from .run import raw
from .search import PERIODS, Search, link, older_link, search
from .streams import Streams
from .why import DEDUPE_MS, Circumstances, reasons

MAX_EVENT_CHARACTERS = 3 * 1024 * 1024
EXAMPLE = '{\n  "name": "shop/order.placed",\n  "data": {}\n}'


@dataclass(frozen=True, slots=True)
class EventsView:
    """`/events`, `/events/{event_id}` and `/events/send`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        route = self.desk.route
        return [
            route("/events", self.all),
            route("/events/send", self.write, "GET"),
            route("/events/send", self.send, "POST"),
            route("/events/{event_id:path}/data", self.data),
            route("/events/{event_id:path}", self.show),
        ]

    async def all(self, request: Request) -> Response:
        wanted = search(request.query_params, self.desk.now())
        if wanted.jump:
            return back(f"/runs?q={wanted.jump}")
        page = PageRequest(limit=wanted.limit, cursor=wanted.cursor)
        listed, names = await asyncio.gather(
            self.desk.read(self.desk.history.events.page, event_filter(wanted), page),
            self.desk.read(self.desk.history.events.names),
        )
        pairs = request.query_params.multi_items()
        return self.desk.page(
            request,
            "events.html",
            wanted=wanted,
            rows=listed.rows,
            complete=listed.complete,
            names=names,
            periods=PERIODS,
            older=older_link("/events", request, listed),
            newest=link("/events", pairs, cursor=""),
            triggers=self._triggers(),
        )

    async def show(self, request: Request) -> Response:
        event_id = request.path_params["event_id"]
        row = await self._event(event_id)
        history = self.desk.history.events
        started, resumed, lag = await asyncio.gather(
            self.desk.read(history.runs_started, row.internal_id),
            self.desk.read(history.runs_resumed, row.internal_id),
            self._unmatched(row),
        )
        event = event_of(row)
        earlier = await self._earlier(row)
        around = Circumstances(_by_function(started), _by_function(resumed), earlier, lag, self.desk.now())
        return self.desk.page(
            request,
            "event.html",
            event=row,
            started=started,
            resumed=resumed,
            reasons=reasons(event, self.desk.functions(), around),
            again=_text_of(row),
        )

    async def write(self, request: Request) -> Response:
        text = EXAMPLE
        copied = request.query_params.get("like")
        if copied:
            text = _text_of(await self._event(copied))
        elif request.query_params.get("name"):
            text = orjson.dumps({"name": request.query_params["name"], "data": {}}, option=orjson.OPT_INDENT_2).decode()
        return self.desk.page(request, "send.html", text=text, problem="", triggers=self._triggers())

    async def send(self, request: Request) -> Response:
        """Send what was written; what the API refuses stays in the form, with the reason."""
        form = await read_form(request, 3 * MAX_EVENT_CHARACTERS)
        text = form.get("event", "")
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return self._refused(request, text, f"this is not JSON: {error}")
        answer = await self.desk.api.send_event(event)
        if not answer.good:
            return self._refused(request, text, answer.error)
        ids = answer.body["ids"]
        if len(ids) != 1:
            return back("/events", f"{len(ids)} events were sent.")
        return back(f"/events/{ids[0]}?starting=1", "The event was sent.")

    async def data(self, request: Request) -> Response:
        """The whole payload, as text."""
        row = await self._event(request.path_params["event_id"])
        return raw(row.data)

    def _refused(self, request: Request, text: str, problem: str) -> Response:
        return self.desk.page(request, "send.html", 400, text=text, problem=problem, triggers=self._triggers())

    def _triggers(self) -> list[str]:
        found = {
            trigger.event
            for registered in self.desk.functions().functions()
            for trigger in registered.config.triggers
            if isinstance(trigger, EventTrigger)
        }
        return sorted(found)

    async def _event(self, event_id: str) -> Found:
        row = await self.desk.read(self.desk.history.events.one, event_id)
        if row is None:
            raise NotFound(
                f"no event has the id {event_id[:100]!r}; if it has just been sent, this page shows it within a moment"
            )
        return row

    async def _earlier(self, row: Found) -> dict[str, str]:
        """Which functions an earlier event with the same id has started."""
        if not row.id or row.id == row.internal_id:
            return {}
        same = await self.desk.read(self.desk.history.events.runs_started, row.id)
        recent = [run for run in same if row.received_at - DEDUPE_MS <= run.received_at <= row.received_at]
        return {run.function: run.event_internal_id or "" for run in recent}

    async def _unmatched(self, row: Found) -> bool:
        """True when the matcher has not committed the event's offset; unknown counts as matched."""
        if row.offset < 0 or self.desk.now() - row.received_at > 3_600_000:
            return False
        try:
            streams = await asyncio.to_thread(self.desk.streams.read)
        except Unavailable:
            return False
        return behind(streams, row.topic, row.partition, row.offset)


def behind(streams: Streams, topic: str, partition: int, offset: int) -> bool:
    """True when the matcher's group has not come beyond the offset."""
    for group in streams.groups:
        if group.name.endswith("matcher"):
            for reading in group.readings:
                if (reading.topic, reading.partition) == (topic, partition) and reading.committed is not None:
                    return reading.committed <= offset
    return False


def event_filter(wanted: Search) -> EventFilter:
    return EventFilter(
        names=wanted.names,
        internal=wanted.internal or any(name.startswith("inngest/") for name in wanted.names),
        since=wanted.since,
        until=wanted.until,
        user=wanted.user,
        text=wanted.text,
        cel=wanted.cel,
    )


def _by_function(rows: Iterable[Found]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.run_id not in found[row.function]:
            found[row.function].append(row.run_id)
    return {function: tuple(runs) for function, runs in found.items()}


def _text_of(row: Found) -> str:
    """The event as somebody would send it again: without its id, which would make it the same one."""
    fields = {"name": row.name, "data": orjson.Fragment(row.data)}
    if row.user not in ("", "{}", "null"):
        fields["user"] = orjson.Fragment(row.user)
    whole: Sequence[object] = [orjson.loads(orjson.dumps(fields))]
    return orjson.dumps(whole[0], option=orjson.OPT_INDENT_2).decode()
