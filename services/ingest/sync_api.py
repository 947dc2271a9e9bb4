"""`POST /v1/apps/{app}/sync`: ask an app for its functions now, instead of at the next round."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import answer, error_answer
from .publish import Publisher

Sync = Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class SyncApi:
    """`sync` takes an app's URL and gives what went wrong, if anything."""

    publisher: Publisher
    sync: Sync

    def routes(self) -> list[BaseRoute]:
        return [Route("/v1/apps/{app:path}/sync", self.resync, methods=["POST"])]

    async def resync(self, request: Request) -> Response:
        """Answered when the app has, or when it is clear that it does not; `error` is then the reason."""
        name = request.path_params["app"]
        app = self.publisher.table.app(name)
        if app is None:
            return error_answer(404, f"no app is called {name[:100]!r}; GET /v1/apps lists them")
        if not app.url.startswith("http"):
            return error_answer(409, f"{name} has no URL to be asked at: it registers by itself when it connects")
        error = await self.sync(app.url)
        return answer(200, {"data": {"app": name, "url": app.url, "error": error}})
