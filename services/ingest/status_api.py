"""What SDKs, people and probes look at to see that a server is there; and what SDKs send that nobody needs here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ..functions.config import EventTrigger, FunctionConfig
from ..keys import SigningKeys
from ..settings import ServerSettings
from .answers import answer, error_answer
from .health import Health
from .publish import Publisher

NOT_NOW = "no events can be taken in at the moment; the reason is told to those who show the signing key"
_DROPPED = (
    ("/v1/traces/userland", "POST"),
    ("/dev/traces", "POST"),
    ("/v0/telemetry", "POST"),
    ("/v1/runs/{run_id}/metadata", "POST"),
)


@dataclass(frozen=True, slots=True)
class StatusApi:
    """Existence, health, the dev server's table of contents."""

    settings: ServerSettings
    publisher: Publisher
    health: Health
    keys: SigningKeys

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.root, methods=["GET"]),
            Route("/health", self.tell_health, methods=["GET"]),
            Route("/dev", self.dev, methods=["GET"]),
        ]

    def keyed_routes(self) -> list[BaseRoute]:
        """What is accepted of those who hold the signing key."""
        return [Route(path, self.drop, methods=[method]) for path, method in _DROPPED]

    async def root(self, request: Request) -> Response:
        """Browsers go on to the pages; programs get JSON."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/runs", 303)
        return answer(200, {"name": "penstock", "version": version("penstock"), "mode": self.settings.mode})

    async def tell_health(self, request: Request) -> Response:
        """Everybody may know whether; why not, which names machines, only who holds the signing key."""
        complaint = await self.health.complaint()
        if complaint is not None:
            may_know = self.keys.accept(request.headers.get("authorization"))
            return error_answer(503, complaint if may_know else NOT_NOW)
        return answer(200, {"status": 200, "message": "OK"})

    async def dev(self, _request: Request) -> Response:
        """Older SDKs ask this to find a dev server; a cloud server has none."""
        if self.settings.mode != "dev":
            return error_answer(404, "this is a cloud server; start one with `penstock dev` for local development")
        functions = [_function(registered.config) for registered in self.publisher.table.functions()]
        return answer(200, self._contents() | {"functions": functions})

    async def drop(self, _request: Request) -> Response:
        return answer(200, {"status": 200})

    def _contents(self) -> dict[str, object]:
        return {
            "version": version("penstock"),
            "authed": bool(self.settings.signing_key),
            "startOpts": {"sdkURLs": [], "urls": [], "dir": None},
            "handlers": [],
            "isSingleNodeService": False,
            "isMissingSigningKey": not self.settings.signing_key,
            "isMissingEventKeys": not self.settings.event_keys,
            "features": {},
        }


def _function(config: FunctionConfig) -> dict[str, object]:
    triggers = [
        {"event": trigger.event, "expression": trigger.expression}
        if isinstance(trigger, EventTrigger)
        else {"cron": trigger.cron}
        for trigger in config.triggers
    ]
    return {"id": config.slug, "slug": config.slug, "name": config.name, "url": config.url, "triggers": triggers}
