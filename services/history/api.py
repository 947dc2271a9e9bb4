"""The read API below `/v1`, GraphQL, and what describes them. Answers come from the read model, which follows the
topics by a fraction of a second; who asks for something that is not there yet is told so, and asks again.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from ..openapi import Description, Part
from ..settings import HistorySettings
from .event_api import EventReadApi
from .graph_api import GraphQL
from .live import Live
from .openapi import part
from .read import read_model
from .registry_api import RegistryReadApi
from .run_api import RunReadApi


def routes(settings: HistorySettings, other_parts: Sequence[Part] = ()) -> list[BaseRoute]:
    """The routes, ready to be mounted; nothing is opened before the first request. `/openapi.json` also describes
    other rooms' parts of the API."""
    model = read_model(settings)
    apis = (EventReadApi(model), RunReadApi(model), RegistryReadApi(model))
    declared = [endpoint for api in apis for endpoint in api.endpoints()]
    return [
        *(endpoint.route() for endpoint in declared),
        Route("/v1/live", Live(model.changes).endpoint, methods=["GET"]),
        Route("/v0/gql", GraphQL(model).endpoint, methods=["POST"]),
        Route("/openapi.json", Description((*other_parts, part(declared))).endpoint, methods=["GET"]),
    ]
