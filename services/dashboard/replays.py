"""Replays: events of the past into a function, counted first, and steered while they run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..errors import InvalidInput
from ..messages.ids import is_ulid
from .desk import Desk, NotFound, back, told
from .forms import read_form
from .search import moment

FIELDS = ("function", "event", "if", "from", "to", "limit", "rate")
STEERING = {"pause": "The replay pauses.", "resume": "The replay goes on.", "cancel": "The replay was cancelled."}


@dataclass(frozen=True, slots=True)
class ReplaysView:
    """`/replays`."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        route = self.desk.route
        return [
            route("/replays", self.all, "GET"),
            route("/replays", self.start, "POST"),
            route("/replays/new", self.write),
            route("/replays/{replay}", self.show),
            route("/replays/{replay}/{action}", self.steer, "POST"),
        ]

    async def all(self, request: Request) -> Response:
        answer = await self.desk.api.ask("GET", "/v1/replays?limit=50")
        if not answer.good:
            return self.desk.problem(request, answer.status, answer.error)
        return self.desk.page(request, "replays.html", replays=answer.data)

    async def write(self, request: Request) -> Response:
        given = {name: request.query_params.get(name, "")[:4096] for name in FIELDS}
        return self._form(request, given, "")

    async def start(self, request: Request) -> Response:
        """A dry run first, when that was asked for; what the API refuses stays in the form."""
        form = await read_form(request)
        given = {name: str(form.get(name, "")).strip()[:4096] for name in FIELDS}
        try:
            wanted = replay(given, {name for name in ("dry_run", "force", "ignore_triggers") if form.get(name)})
        except InvalidInput as error:
            return self._form(request, given, str(error), 400)
        answer = await self.desk.api.ask("POST", "/v1/replays", wanted)
        if not answer.good:
            return self._form(request, given, answer.error, answer.status)
        note = "The replay has been started." if answer.status == 201 else "An identical replay exists: here it is."
        return back(f"/replays/{answer.data['id']}", note)

    async def show(self, request: Request) -> Response:
        replay_id = _replay_id(request)
        answer = await self.desk.api.ask("GET", f"/v1/replays/{replay_id}")
        if answer.status == 404:
            raise NotFound(answer.error)
        if not answer.good:
            return self.desk.problem(request, answer.status, answer.error)
        return self.desk.page(request, "replay.html", replay=answer.data)

    async def steer(self, request: Request) -> Response:
        replay_id, action = _replay_id(request), request.path_params["action"]
        if action not in STEERING:
            raise NotFound(f"a replay can be {', '.join(STEERING)}d; {action[:40]!r} is not known")
        answer = await self.desk.api.ask("POST", f"/v1/replays/{replay_id}/{action}", {})
        return told(answer, f"/replays/{replay_id}", STEERING[action])

    def _form(self, request: Request, given: dict[str, str], problem: str, status: int = 200) -> Response:
        functions = sorted(f.config.key for f in self.desk.functions().functions())
        return self.desk.page(request, "replay_new.html", status, given=given, functions=functions, problem=problem)


def replay(given: dict[str, str], flags: set[str]) -> dict[str, object]:
    """The form as the API wants it; empty fields are left out."""
    wanted: dict[str, object] = {name: given[name] for name in ("function", "event", "if") if given[name]}
    for name in ("from", "to"):
        at = moment(given[name], name)
        if at is not None:
            wanted[name] = at
    if given["limit"]:
        wanted["limit"] = _whole(given["limit"], "limit")
    if given["rate"]:
        wanted["rate"] = _number(given["rate"], "rate")
    return wanted | dict.fromkeys(flags, True)


def _whole(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidInput(f"{field} must be a whole number such as 1000, not {text[:40]!r}")
    return int(text)


def _number(text: str, field: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{field} must be a number such as 50, not {text[:40]!r}")
    return number


def _replay_id(request: Request) -> str:
    replay_id: str = request.path_params["replay"]
    if not is_ulid(replay_id):
        raise InvalidInput(f"a replay's id has 26 characters; {replay_id[:40]!r} is none")
    return replay_id
