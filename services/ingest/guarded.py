"""Other rooms' routes, served behind the signing key: they show what users sent."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from ..keys import SigningKeys
from .answers import error_answer


class Guarded(BaseRoute):
    """A route that answers only callers who show the signing key, where there is one."""

    def __init__(self, route: BaseRoute, keys: SigningKeys) -> None:
        self.route = route
        self._keys = keys

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return self.route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._keys.accept(Headers(scope=scope).get("authorization")):
            await self.route.handle(scope, receive, send)
            return
        message = "the signing key is missing or unknown; send it as Authorization: Bearer <key>"
        await error_answer(401, message)(scope, receive, send)
