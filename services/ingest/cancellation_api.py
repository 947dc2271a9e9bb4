"""`/v1/cancellations`: bulk cancellations made, listed, and taken back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..functions.table import Forgotten
from ..messages.ids import is_ulid, ulid
from ..messages.keys import cancellation_key
from .answers import enveloped, error_answer
from .bodies import BodyReader
from .cancellations import cancellation_of, plan, read_request, shape
from .function_names import named_in_app, unknown
from .publish import Publisher


@dataclass(frozen=True, slots=True)
class CancellationApi:
    """What has been answered lies on Kafka; each owner of runs applies it as soon as it has read it there."""

    publisher: Publisher
    bodies: BodyReader
    now: Callable[[], int]

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/cancellations", self.create, methods=["POST"]),
            Route("/v1/cancellations", self.all, methods=["GET"]),
            Route("/v1/cancellations/{id}", self.delete, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """404 for an unknown function; 400 names what is wrong, a condition that does not compile included."""
        now, table = self.now(), self.publisher.table
        wanted = read_request(await self.bodies.read(request.scope, request.receive), now)
        function = named_in_app(wanted.app, wanted.function, table)
        if function is None:
            return error_answer(404, unknown(wanted.function, table, wanted.app))
        cancellation = cancellation_of(wanted, ulid(now, os.urandom(10)), function, now)
        await self.publisher.functions(plan(table, cancellation, now))
        return enveloped(shape(cancellation, self.publisher.table), now)

    async def all(self, _request: Request) -> Response:
        """Newest first."""
        table = self.publisher.table
        return enveloped([shape(each, table) for each in reversed(table.cancellations())], self.now())

    async def delete(self, request: Request) -> Response:
        """It is applied to no further run; runs that were cancelled stay so."""
        wanted = request.path_params["id"]
        if not is_ulid(wanted):
            return error_answer(400, f"{wanted[:40]!r} is not a cancellation's id; GET /v1/cancellations lists them")
        if all(each.id != wanted for each in self.publisher.table.cancellations()):
            return error_answer(404, f"there is no cancellation {wanted}; GET /v1/cancellations lists them")
        await self.publisher.functions([Forgotten(cancellation_key(wanted).decode())])
        return enveloped({"ok": True}, self.now())
