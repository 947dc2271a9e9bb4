"""The HTTP application: every route, its middleware and its errors, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import PenstockError
from ..functions.table import FunctionTable
from ..keys import EventKeys, SigningKeys
from ..settings import KafkaSettings, ServerSettings
from .answers import ServerKind, on_bug, on_http_error, on_penstock_error, on_sender_gone
from .app_api import AppApi
from .bodies import BodyReader
from .cancellation_api import CancellationApi
from .event_api import PREFIX, EventApi
from .forwarding import Forwarding
from .guarded import Guarded
from .health import Health
from .invoke_api import InvokeApi
from .own_machine import OwnMachine
from .owners import Owners
from .publish import Publisher
from .registrar import Registrar
from .registration_api import RegistrationApi
from .repeat_api import Past, RepeatApi
from .run_api import RunApi
from .signal_api import SignalApi
from .status_api import StatusApi
from .sync_api import Sync, SyncApi


def now_ms() -> int:
    """The clock of events: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application talks to."""

    publisher: Publisher
    registrar: Registrar
    owners: Owners
    client: httpx.AsyncClient
    #: What history knows; without it nothing can be repeated.
    past: Past | None = None
    #: Syncs the app at a URL now.
    sync: Sync | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """What pages of another room work with: the functions, and this application itself, without a network between."""

    functions: Callable[[], FunctionTable]
    app: ASGIApp


Pages = Callable[[Inside], Sequence[BaseRoute]]


class IngestApp:
    """Events go straight to their API, everything else through the router: most requests are events."""

    def __init__(self, events: ASGIApp, others: Starlette) -> None:
        self._events = events
        self.others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._events(scope, receive, send)
        else:
            await self.others(scope, receive, send)


def _own_routes(parts: Parts, bodies: BodyReader, partitions: int, keys: SigningKeys) -> Iterator[BaseRoute]:
    """What only callers with the signing key may do, besides registering apps."""
    publisher, forwarding = parts.publisher, Forwarding(parts.owners, parts.client, keys.shown())
    yield from RunApi(forwarding, bodies, partitions).routes()
    yield from SignalApi(forwarding, bodies, partitions, now_ms).routes()
    yield from InvokeApi(publisher, forwarding, bodies, partitions, now_ms).routes()
    yield from CancellationApi(publisher, bodies, now_ms).routes()
    yield from AppApi(publisher).routes()
    if parts.past is not None:
        yield from RepeatApi(publisher, bodies, parts.past, publisher.topics, now_ms).routes()
    if parts.sync is not None:
        yield from SyncApi(publisher, parts.sync).routes()


def ingest_app(
    server: ServerSettings,
    kafka: KafkaSettings,
    parts: Parts,
    more_routes: Sequence[BaseRoute] = (),
    pages: Pages | None = None,
) -> IngestApp:
    """The application of one ingest process; `more_routes` are other rooms' that it serves along, behind the signing
    key; `pages` are served to browsers and guard themselves."""

    async def itself(scope: Scope, receive: Receive, send: Send) -> None:
        await made(scope, receive, send)

    bodies, signing = BodyReader(server.max_body_bytes), SigningKeys.from_settings(server)
    status = StatusApi(server, parts.publisher, Health(kafka, parts.publisher), signing)
    own = _own_routes(parts, bodies, kafka.run_partitions, signing)
    routes = [
        *RegistrationApi(parts.registrar, signing, bodies, server.mode).routes(),
        *status.routes(),
        *(Guarded(route, signing) for route in (*own, *status.keyed_routes(), *more_routes)),
        *(pages(Inside(lambda: parts.publisher.table, itself)) if pages is not None else ()),
    ]
    own_machine = [Middleware(OwnMachine, names=server.dev_hosts)] if server.mode == "dev" else []
    others = Starlette(
        routes=routes,
        middleware=[Middleware(ServerKind, kind=server.mode), *own_machine],
        exception_handlers={
            PenstockError: on_penstock_error,
            HTTPException: on_http_error,
            ConnectionAbortedError: on_sender_gone,
            Exception: on_bug,
        },
    )
    made = IngestApp(EventApi(parts.publisher, EventKeys.from_settings(server), bodies, server.mode, now_ms), others)
    return made
