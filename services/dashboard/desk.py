"""What every view works with, and how its answer becomes a page: session, origin, errors, headers, notes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..errors import InvalidInput, PenstockError, Unavailable
from ..functions.table import FunctionTable
from ..history.read import HistoryReadModel
from .api import Answer, Api
from .guard import HEADERS, is_same_origin
from .rendering import Renderer
from .session import COOKIE, Sessions
from .streams import StreamsReader

log = logging.getLogger(__name__)

THEME_COOKIE = "penstock_theme"
THEMES = ("light", "dark")
NOTE_COOKIE = "penstock_note"
MAX_NOTE = 600

Endpoint = Callable[[Request], Awaitable[Response]]
P = ParamSpec("P")
T = TypeVar("T")


class NotFound(PenstockError):
    """Nothing is known by this name; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the pages get everything from."""

    history: HistoryReadModel
    functions: Callable[[], FunctionTable]
    streams: StreamsReader
    api: Api
    sessions: Sessions
    renderer: Renderer
    now: Callable[[], int]
    mode: str

    def page(self, request: Request, template: str, status: int = 200, **content: object) -> Response:
        """The template as a page."""
        note = unquote(request.cookies.get(NOTE_COOKIE, ""))[:MAX_NOTE]
        shared = {
            "request_path": request.url.path,
            "theme": theme(request),
            "mode": self.mode,
            "login": not self.sessions.open,
            "note": note[1:],
            "note_kind": "bad" if note[:1] == "!" else "good",
        }
        html = self.renderer.html(template, shared | content)
        response = HTMLResponse(html, status, headers=HEADERS)
        if note:
            response.delete_cookie(NOTE_COOKIE)
        return response

    async def read(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask history off the event loop."""
        return await asyncio.to_thread(question, *args, **kwargs)

    def route(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """A route that only sessions reach, whose errors are pages too."""

        async def guarded(request: Request) -> Response:
            if not self.sessions.holds(request.cookies.get(COOKIE), self.now()):
                return to_login(request)
            return await self._answered(request, endpoint)

        return Route(path, guarded, methods=list(methods) or ["GET"])

    def open_route(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """A route that everybody reaches."""

        async def answered(request: Request) -> Response:
            return await self._answered(request, endpoint)

        return Route(path, answered, methods=list(methods) or ["GET"])

    async def _answered(self, request: Request, endpoint: Endpoint) -> Response:
        if request.method not in ("GET", "HEAD") and not is_same_origin(request):
            return self.problem(request, 403, "this request does not come from the dashboard's own pages")
        try:
            return await endpoint(request)
        except NotFound as error:
            return self.problem(request, 404, str(error))
        except InvalidInput as error:
            return self.problem(request, 400, str(error))
        except Unavailable as error:
            return self.problem(request, 503, str(error))
        except PenstockError as error:
            log.error("%s failed: %s", request.url.path[:200], error)
            return self.problem(request, 500, str(error))

    def problem(self, request: Request, status: int, message: str) -> Response:
        return self.page(request, "problem.html", status, code=status, message=message)


def theme(request: Request) -> str:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def to_login(request: Request) -> Response:
    if request.method != "GET" or request.url.path == "/live":
        return Response("log in first", 401, headers=HEADERS)
    target = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe="")
    return RedirectResponse(f"/login?to={target}", 303, headers=HEADERS)


def back(path: str, note: str = "", bad: bool = False) -> Response:
    """To another page after a change, with a word about how it went."""
    response = RedirectResponse(path, 303, headers=HEADERS)
    if note:
        text = ("!" if bad else "+") + note[:MAX_NOTE]
        response.set_cookie(NOTE_COOKIE, quote(text, safe=""), max_age=60, httponly=True, samesite="strict")
    return response


def told(answer: Answer, path: str, done: str) -> Response:
    """Back to a page, with the API's own words when it refused."""
    return back(path, done) if answer.good else back(path, answer.error, bad=True)


def local_path(text: str) -> str:
    """The path when it is one of ours, else the first page: nobody is sent to another site."""
    plain = text.isascii() and text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else "/runs"


def query_without(request: Request, *names: str) -> Mapping[str, str]:
    return {key: value for key, value in request.query_params.items() if key not in names}
