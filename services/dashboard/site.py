"""The dashboard put together: every view, its assets, and the way in."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from ..functions.table import FunctionTable
from ..history.read import HistoryReadModel
from ..settings import DashboardSettings, KafkaSettings
from .api import Api
from .apps import AppsView
from .dead_letters import DeadLettersView
from .desk import Desk
from .events import EventsView
from .functions import FunctionsView
from .guard import HEADERS
from .live import LiveView
from .login import LoginView
from .rendering import ASSET_TYPES, ASSETS, Renderer
from .replays import ReplaysView
from .run import RunView
from .runs import RunsView
from .session import Sessions
from .stream_page import StreamsView
from .streams import StreamsReader
from .waits import WaitsView

API_SECONDS = 30.0
FOREVER = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


def site(
    settings: DashboardSettings,
    kafka: KafkaSettings,
    history: HistoryReadModel,
    functions: Callable[[], FunctionTable],
    app: ASGIApp,
) -> list[BaseRoute]:
    """All routes of the dashboard; `app` is the HTTP API that its actions go through."""
    desk = Desk(
        history=history,
        functions=functions,
        streams=StreamsReader(kafka),
        api=Api(_client(settings, app), settings.first_event_key()),
        sessions=_sessions(settings),
        renderer=Renderer(_now),
        now=_now,
        mode=settings.mode,
    )
    return routes(desk)


def routes(desk: Desk) -> list[BaseRoute]:
    """Every address of the dashboard."""
    views = (LoginView, RunsView, RunView, EventsView, FunctionsView, AppsView)
    more = (StreamsView, WaitsView, DeadLettersView, ReplaysView, LiveView)
    return [
        Route("/assets/{version}/{name}", asset, methods=["GET"]),
        *(route for view in (*views, *more) for route in view(desk).routes()),
    ]


async def asset(request: Request) -> Response:
    """A style or script of ours. Its address changes with it, so browsers keep it."""
    path = next((path for path in ASSETS.iterdir() if path.name == request.path_params["name"]), None)
    if path is None or path.suffix not in ASSET_TYPES:
        return Response("no such asset", 404, headers=HEADERS)
    return Response(path.read_bytes(), headers=FOREVER | {"content-type": ASSET_TYPES[path.suffix]})


def _client(settings: DashboardSettings, app: ASGIApp) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {settings.signing_key}"} if settings.signing_key else {}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://penstock", headers=headers, timeout=API_SECONDS)


def _sessions(settings: DashboardSettings) -> Sessions:
    keys = tuple(key for key in (settings.signing_key.strip(), settings.signing_key_fallback.strip()) if key)
    return Sessions(
        password=settings.dashboard_password,
        signing_keys=keys,
        open=settings.mode == "dev",
        lifetime_ms=settings.dashboard_session_hours * 3_600_000,
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
