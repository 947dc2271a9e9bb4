"""`POST /fn/register` and `DELETE /fn/remove`: apps come and go."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import InvalidInput
from ..expressions.expression import compile_expression
from ..functions.registration import parse_registration
from ..keys import SigningKeys
from ..messages.ids import app_uuid
from ..runs.gateway import shown_url
from .answers import answer, error_answer
from .bodies import BodyReader
from .registrar import Registrar

log = logging.getLogger(__name__)

_UNAUTHORIZED = "the signing key is missing or unknown; set INNGEST_SIGNING_KEY in the app to this server's key"


@dataclass(frozen=True, slots=True)
class RegistrationApi:
    """Where SDKs register their app's functions. Answered when the very next event will find them."""

    registrar: Registrar
    keys: SigningKeys
    bodies: BodyReader
    server_kind: str

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/fn/register", self.register, methods=["POST"]),
            Route("/fn/remove", self.remove, methods=["DELETE"]),
        ]

    async def register(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        body = await self.bodies.read(request.scope, request.receive)
        try:
            # Compiling many expressions takes a while: events must not wait for it.
            wanted = await asyncio.to_thread(parse_registration, body, compile_expression)
        except InvalidInput as error:
            log.warning("a registration was refused: %s", error)
            return error_answer(400, str(error))
        modified = await self.registrar.register(wanted)
        if modified:
            log.info(
                "app %s registered %d functions, served at %s", wanted.app, len(wanted.functions), shown_url(wanted.url)
            )
        ids = {"app_id": str(app_uuid(wanted.app)), "sync_id": str(uuid.uuid4())}
        return answer(200, {"ok": True, "modified": modified, **ids})

    async def remove(self, request: Request) -> Response:
        if not self.keys.accept(request.headers.get("authorization")):
            return error_answer(401, _UNAUTHORIZED)
        url = request.query_params.get("url", "")
        if not url:
            return error_answer(400, "which app? DELETE /fn/remove?url=<the app's URL>")
        if not await self.registrar.remove(url):
            return error_answer(404, f"no app is served at {url[:200]}")
        return answer(200, {"ok": True})

    def _refusal(self, request: Request) -> Response | None:
        expected = request.headers.get("x-inngest-expected-server-kind")
        if expected and expected != self.server_kind:
            message = f"the app expects a {expected[:20]} server, this is a {self.server_kind} server; "
            way = "set INNGEST_DEV=1 in the app" if self.server_kind == "dev" else "unset INNGEST_DEV in the app"
            return error_answer(400, message + way)
        if not self.keys.accept(request.headers.get("authorization")):
            return error_answer(401, _UNAUTHORIZED)
        return None
