"""Apps: where they are, how their last sync went, and syncing them again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .desk import Desk, back


@dataclass(frozen=True, slots=True)
class AppsView:
    """`/apps` and its action."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        return [
            self.desk.route("/apps", self.all),
            self.desk.route("/apps/{name:path}/sync", self.sync, "POST"),
        ]

    async def all(self, request: Request) -> Response:
        history = self.desk.history
        apps, functions = await asyncio.gather(self.desk.read(history.apps.all), self.desk.read(history.functions.all))
        sizes = Counter(row.app for row in functions)
        return self.desk.page(request, "apps.html", apps=apps, sizes=sizes)

    async def sync(self, request: Request) -> Response:
        """Ask the app for its functions now; its own complaint is shown when it has one."""
        name = request.path_params["name"]
        answer = await self.desk.api.ask("POST", f"/v1/apps/{quote(name, safe='')}/sync")
        if not answer.good:
            return back("/apps", f"{name}: {answer.error}", bad=True)
        error = answer.data.get("error")
        return back("/apps", f"{name}: {error}" if error else f"{name} was synced.", bad=bool(error))
