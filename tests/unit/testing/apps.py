"""Apps as users write them, with the official SDK as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import fastapi
import flask
import inngest
import inngest.fast_api
import inngest.flask

Functions = Sequence[inngest.Function[Any]]


def fast_api(define: Callable[[inngest.Inngest], Functions], **client: Any) -> fastapi.FastAPI:
    """A FastAPI app with the functions that `define` makes."""
    made = inngest.Inngest(app_id="test", **{"is_production": False, **client})
    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, made, list(define(made)))
    return app


def flask_app(define: Callable[[inngest.Inngest], Functions]) -> flask.Flask:
    """A Flask app with the functions that `define` makes."""
    made = inngest.Inngest(app_id="test", is_production=False)
    app = flask.Flask("test")
    inngest.flask.serve(app, made, list(define(made)))
    return app
