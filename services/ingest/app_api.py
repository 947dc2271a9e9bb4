"""`GET /v1/apps/{app}/functions`: what an app has registered."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..functions.config import FunctionConfig
from ..functions.table import FunctionTable
from ..messages.ids import app_uuid, function_uuid
from ..messages.records import Function
from .answers import answer, error_answer, timestamp
from .cancellations import NO_ID
from .publish import Publisher


@dataclass(frozen=True, slots=True)
class AppApi:
    """Apps and their functions as they are registered now."""

    publisher: Publisher

    def routes(self) -> list[BaseRoute]:
        return [Route("/v1/apps/{app:path}/functions", self.functions, methods=["GET"])]

    async def functions(self, request: Request) -> Response:
        """A bare array, by slug; 404 while nobody has registered the app."""
        name, table = request.path_params["app"], self.publisher.table
        if table.app(name) is None:
            return error_answer(404, _unknown_app(name, table))
        records = [
            record
            for registered in table.functions()
            if registered.config.app == name and (record := table.record(registered.config.key)) is not None
        ]
        return answer(200, [_shape(record) for record in sorted(records, key=lambda record: record.slug)])


def _unknown_app(name: str, table: FunctionTable) -> str:
    known = ", ".join(sorted(app.name for app in table.apps() if app.url)[:5])
    hint = f"registered are {known}" if known else "no app is registered yet"
    return f"no app is called {name[:100]!r}; {hint}"


def _shape(record: Function) -> dict[str, object]:
    config = FunctionConfig.from_json(record.config)
    return {
        "internal_id": str(function_uuid(record.key)),
        "env_id": NO_ID,
        "app_id": str(app_uuid(record.app)),
        "id": record.slug,
        "name": record.name,
        "version": record.version,
        "url": config.url,
        "config": orjson.Fragment(config.raw),
        "created_at": timestamp(record.registered_at),
        "archived_at": None,
    }
