"""Logging in and out, and the choice of light or dark."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .attempts import FailedAttempts
from .desk import THEME_COOKIE, THEMES, Desk, back, local_path
from .forms import read_form
from .guard import is_encrypted
from .session import COOKIE

log = logging.getLogger(__name__)

YEAR_SECONDS = 365 * 24 * 3600
LOCKED = "nobody can log in: set PENSTOCK_SIGNING_KEY or PENSTOCK_DASHBOARD_PASSWORD for this server and start it again"


@dataclass(frozen=True, slots=True)
class LoginView:
    """`/login`, `/logout` and `/theme`."""

    desk: Desk
    attempts: FailedAttempts = field(default_factory=FailedAttempts)

    def routes(self) -> list[BaseRoute]:
        route = self.desk.open_route
        return [
            route("/login", self.ask, "GET"),
            route("/login", self.enter, "POST"),
            route("/logout", self.leave, "POST"),
            route("/theme", self.theme, "POST"),
        ]

    async def ask(self, request: Request) -> Response:
        if self.desk.sessions.holds(request.cookies.get(COOKIE), self.desk.now()):
            return back(local_path(request.query_params.get("to", "")))
        if not self.desk.sessions.possible:
            return self._form(request, 503, LOCKED)
        return self._form(request, 200, "")

    async def enter(self, request: Request) -> Response:
        form = await read_form(request)
        address, now = request.client.host if request.client is not None else "", self.desk.now()
        wait = self.attempts.wait_seconds(address, now)
        if wait:
            return self._later(request, wait)
        if not self.desk.sessions.knows(form.get("secret", "")):
            self.attempts.failed(address, now)
            log.warning("a wrong password or key was entered at the dashboard, from %s", address)
            return self._form(request, 401, "this is neither the password nor a signing key of this server")
        response = back(local_path(request.query_params.get("to", "")))
        response.set_cookie(
            COOKIE,
            self.desk.sessions.begun(self.desk.now()),
            max_age=self.desk.sessions.lifetime_ms // 1000,
            httponly=True,
            samesite="lax",
            secure=is_encrypted(request),
        )
        return response

    async def leave(self, request: Request) -> Response:
        response = back("/login")
        response.delete_cookie(COOKIE)
        return response

    async def theme(self, request: Request) -> Response:
        """Remember the choice, for browsers without scripts too."""
        form = await read_form(request)
        response = back(local_path(form.get("to", "")))
        chosen = form.get("theme", "")
        chosen = chosen if chosen in THEMES else "auto"
        response.set_cookie(THEME_COOKIE, chosen, max_age=YEAR_SECONDS, samesite="lax")
        return response

    def _later(self, request: Request, seconds: int) -> Response:
        """Not even a right secret is taken now: else trying could go on."""
        response = self._form(request, 429, f"too many wrong entries; try again in {seconds} s")
        response.headers["retry-after"] = str(seconds)
        return response

    def _form(self, request: Request, status: int, problem: str) -> Response:
        return self.desk.page(
            request, "login.html", status, problem=problem, to=local_path(request.query_params.get("to", ""))
        )
